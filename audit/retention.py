"""How long decisions are kept: a default of the platform, and each zone's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from audit.errors import RetentionAboveLimit
from audit.events import RetentionChanged
from audit.models import AuditRetention
from audit.record import record
from caracal_site import locks
from caracal_site.actors import Actor
from caracal_site.api.errors import ZoneForbidden
from caracal_site.api.permissions import authorise
from caracal_site.locks import LockClass
from zones.errors import GlobalTokenRequired

PLATFORM = "platform"


@dataclass(frozen=True, slots=True)
class Retention:
    """What is in force. ``days`` counts at once, or from ``shortens_at`` on;
    ``days_now`` is what rows are kept for until then."""

    days: int
    days_now: int
    legal_hold: bool
    shortens_at: datetime | None
    updated_at: datetime | None
    is_inherited: bool = False

    def cutoff(self, now: datetime) -> datetime | None:
        """What happened before may be removed; None while nothing may."""
        return None if self.legal_hold else now - timedelta(days=self.days_now)


def of_platform() -> Retention:
    """The default, which no zone's own hold or time changes."""
    return _in_force(_row(PLATFORM), timezone.now())


def of_zone(zone_id: str) -> Retention:
    """What counts in a zone; a hold of the platform is a hold of every zone."""
    rows = AuditRetention.objects.in_bulk([PLATFORM, zone_id])
    now = timezone.now()
    platform = _in_force(rows.get(PLATFORM), now)
    return _in_zone(rows.get(zone_id), platform, now)


def of_every_zone(
    zone_ids: list[str], *, without_hold_of: str | None = None
) -> dict[str, Retention]:
    """What counts in each of some zones; or would, without the hold of one scope."""
    rows = AuditRetention.objects.in_bulk([PLATFORM, *zone_ids])
    if without_hold_of in rows:
        rows[without_hold_of].legal_hold = False
    now = timezone.now()
    platform = _in_force(rows.get(PLATFORM), now)
    return {one: _in_zone(rows.get(one), platform, now) for one in zone_ids}


def _row(scope: str) -> AuditRetention | None:
    return AuditRetention.objects.filter(scope=scope).first()


def _in_force(row: AuditRetention | None, now: datetime) -> Retention:
    ceiling = settings.AUDIT_RETENTION_DAYS
    if row is None:
        return Retention(ceiling, ceiling, False, None, None)
    days = min(row.retention_days or ceiling, ceiling)
    waits = row.shortens_at is not None and row.shortens_at > now
    former = min(row.former_days or ceiling, ceiling)
    return Retention(
        days,
        max(days, former) if waits else days,
        row.legal_hold,
        row.shortens_at if waits else None,
        row.updated_at,
    )


def _in_zone(
    row: AuditRetention | None, platform: Retention, now: datetime
) -> Retention:
    if row is None:
        return Retention(
            platform.days,
            platform.days_now,
            platform.legal_hold,
            platform.shortens_at,
            None,
            is_inherited=True,
        )
    own = _in_force(row, now)
    inherits = row.retention_days is None
    days = platform.days if inherits else own.days
    days_now = platform.days_now if inherits else own.days_now
    if own.shortens_at is not None:
        days_now = max(days_now, own.days_now)
    return Retention(
        days,
        days_now,
        own.legal_hold or platform.legal_hold,
        own.shortens_at or (platform.shortens_at if inherits else None),
        own.updated_at,
        is_inherited=inherits,
    )


@transaction.atomic
def change_retention(
    *,
    zone_id: str | None,
    actor: Actor,
    changes: dict[str, Any],
    reason: str,
) -> Retention:
    """Changes ``retention_days`` or ``legal_hold`` of a zone, or of the platform.

    What could remove evidence sooner (fewer days, a hold lifted) is for tokens of all
    zones alone, and a shorter time waits ``AUDIT_RETENTION_DELAY_HOURS``. Raises
    RetentionAboveLimit, GlobalTokenRequired or ZoneForbidden.
    """
    authorise(actor, zone_id=zone_id, writes=True)
    if actor.account_id is not None and zone_id is None:
        raise ZoneForbidden
    days = changes.get("retention_days")
    if days is not None and days > settings.AUDIT_RETENTION_DAYS:
        raise RetentionAboveLimit(settings.AUDIT_RETENTION_DAYS)
    scope = zone_id or PLATFORM
    locks.lock(LockClass.AUDIT_RETENTION, scope)
    before = of_zone(zone_id) if zone_id else of_platform()
    row = _row(scope) or AuditRetention(scope=scope)
    held = row.legal_hold
    for name, value in changes.items():
        setattr(row, name, value)
    row.shortens_at, row.former_days, row.updated_at = None, None, timezone.now()
    after = _after(row, zone_id)
    shortens = after.days_now < before.days_now
    lifts = held and not row.legal_hold
    if (shortens or lifts) and not _owns_platform(actor):
        raise GlobalTokenRequired
    if shortens:
        delay = timedelta(hours=settings.AUDIT_RETENTION_DELAY_HOURS)
        row.former_days = before.days_now
        row.shortens_at = row.updated_at + delay
    row.save()
    event = RetentionChanged(zone_id=zone_id, entity_id=scope, changes=changes)
    record(actor, event, reason=reason)
    return _after(row, zone_id)


def _after(row: AuditRetention, zone_id: str | None) -> Retention:
    now = timezone.now()
    return _in_zone(row, of_platform(), now) if zone_id else _in_force(row, now)


def _owns_platform(actor: Actor) -> bool:
    return actor.is_global and actor.account_id is None
