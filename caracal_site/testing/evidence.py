"""What a zone's changes left behind: audit rows and news on their way out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from audit.models import AdminAuditEvent, OutboxEvent


@dataclass(frozen=True)
class Left:
    """The rows since the last look, oldest first."""

    audit: list[AdminAuditEvent]
    outbox: list[OutboxEvent]

    @property
    def keys(self) -> list[str | None]:
        return [row.dedupe_key for row in self.outbox]

    def payloads(self, topic: str) -> list[dict[str, Any]]:
        return [row.payload_json for row in self.outbox if row.topic == topic]


@dataclass
class Events:
    """The evidence of one zone."""

    zone_id: str | None
    _audit_seen: int = field(default=0, repr=False)
    _outbox_seen: int = field(default=0, repr=False)

    def all(self) -> Left:
        return self._since(0, 0)

    def take(self) -> Left:
        """What was left since the last call of ``take``."""
        left = self._since(self._audit_seen, self._outbox_seen)
        self._audit_seen = max(
            [row.position for row in left.audit] + [self._audit_seen]
        )
        self._outbox_seen = max(
            [row.position for row in left.outbox] + [self._outbox_seen]
        )
        return left

    def _since(self, audit: int, outbox: int) -> Left:
        return Left(
            list(
                AdminAuditEvent.objects.in_zone(self.zone_id)
                .filter(position__gt=audit)
                .order_by("position")
            ),
            list(
                OutboxEvent.objects.filter(
                    zone_id=self.zone_id, position__gt=outbox
                ).order_by("position")
            ),
        )
