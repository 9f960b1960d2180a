"""Questions about agent sessions."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models.functions import Now


class AgentSessionQuerySet(models.QuerySet):
    def in_zone(self, zone_id: str) -> Self:
        return self.filter(zone_id=zone_id)

    def live(self) -> Self:
        return self.filter(status__in=("active", "suspended"))

    def overdue(self) -> Self:
        """Past the time they were given."""
        return self.filter(expires_at__lte=Now())
