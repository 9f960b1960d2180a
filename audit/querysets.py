"""Questions about evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models

if TYPE_CHECKING:
    from audit.models import AdminAuditEvent, OutboxEvent  # noqa: F401 - named in quotes


class AdminAuditQuerySet(models.QuerySet["AdminAuditEvent"]):
    def in_zone(self, zone_id: str | None) -> Self:
        """The rows of a zone's chain; None is the platform's own chain."""
        return self.filter(zone_id=zone_id)

    def about(self, entity_id: str) -> Self:
        return self.filter(entity_id=entity_id)

    def unsealed(self) -> Self:
        return self.filter(chain_seq=None)


class OutboxQuerySet(models.QuerySet["OutboxEvent"]):
    def pending(self) -> Self:
        return self.filter(published_at=None, parked_at=None)

    def parked(self) -> Self:
        return self.filter(parked_at__isnull=False)
