"""Questions about signing keys, authority sessions and step-up challenges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Now

if TYPE_CHECKING:
    from tokens.models import (  # noqa: F401 - named in quotes
        Session,
        SigningKey,
        StepUpChallenge,
    )

OPEN = ("pending", "satisfied")


class SigningKeyQuerySet(models.QuerySet["SigningKey"]):
    def in_zone(self, zone_id: str) -> Self:
        return self.filter(zone_id=zone_id)

    def published(self) -> Self:
        """Every key verifiers should know."""
        return self.exclude(state="withdrawn")

    def signing(self) -> Self:
        return self.filter(state="signing")


class SessionQuerySet(models.QuerySet["Session"]):
    def in_zone(self, zone_id: str) -> Self:
        return self.filter(zone_id=zone_id)

    def usable(self) -> Self:
        return self.filter(status="active", expires_at__gt=Now())

    def standing(self, status: str) -> Self:
        """Those that are ``status`` now; the job that writes down what has expired
        may not have come by."""
        if status == "active":
            return self.usable()
        if status == "expired":
            overdue = Q(status="active", expires_at__lte=Now())
            return self.filter(Q(status="expired") | overdue)
        return self.filter(status=status)


class StepUpChallengeQuerySet(models.QuerySet["StepUpChallenge"]):
    def in_zone(self, zone_id: str) -> Self:
        return self.filter(zone_id=zone_id)

    def open(self) -> Self:
        """Those a person can still answer, or an approved request still use."""
        return self.filter(state__in=OPEN, expires_at__gt=Now())

    def overdue(self) -> Self:
        """Those whose time is over without that having been written down."""
        return self.filter(state__in=OPEN, expires_at__lte=Now())

    def standing_as(self, state: str) -> Self:
        """Those that are ``state`` now."""
        if state in OPEN:
            return self.open().filter(state=state)
        if state == "expired":
            overdue = Q(state__in=OPEN, expires_at__lte=Now())
            return self.filter(Q(state="expired") | overdue)
        return self.filter(state=state)

    def with_standing(self) -> Self:
        """Each marked with the ``standing`` it has now."""
        overdue = When(state__in=OPEN, expires_at__lte=Now(), then=Value("expired"))
        text = models.TextField()
        return self.annotate(
            standing=Case(overdue, default=F("state"), output_field=text)
        )
