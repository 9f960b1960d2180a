"""Questions about signing keys and authority sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

if TYPE_CHECKING:
    from tokens.models import Session, SigningKey  # noqa: F401 - named in quotes


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
