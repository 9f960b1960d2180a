"""Questions about signing keys and authority sessions."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models.functions import Now


class SigningKeyQuerySet(models.QuerySet):
    def in_zone(self, zone_id: str) -> Self:
        return self.filter(zone_id=zone_id)

    def published(self) -> Self:
        """Every key verifiers should know."""
        return self.exclude(state="withdrawn")

    def signing(self) -> Self:
        return self.filter(state="signing")


class SessionQuerySet(models.QuerySet):
    def in_zone(self, zone_id: str) -> Self:
        return self.filter(zone_id=zone_id)

    def usable(self) -> Self:
        return self.filter(status="active", expires_at__gt=Now())
