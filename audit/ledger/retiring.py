"""The end of decisions: what is past its retention is removed, and nothing else.

A month whose every row is past the retention of its zone is dropped whole; from other
months rows go in batches. Their links stay, so the chain still verifies from its first
row, and says of each row that is gone that it was removed by the platform. Nothing goes
that is held, or has no link yet, and every removal is in the audit trail of its zone.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from audit import retention
from audit.events import DecisionsRemoved
from audit.keys import audit_key, known_keys
from audit.models import AuditChain
from audit.record import record
from caracal_site import locks, statements
from caracal_site.actors import system
from caracal_site.jobs import Outcome
from caracal_site.locks import LockClass
from caracal_site.times import to_wire

ACTOR = system("audit retention")
REASON = "past its retention"
AHEAD = timedelta(days=92)
BATCH = 5_000
RUN_SECONDS = 120.0
COUNTED = 100_000
RETENTION = "audit retention"
Cutoffs = Mapping[str, datetime]

log = logging.getLogger(__name__)


def make_partitions() -> int:
    """Makes the partitions of this month and the three after it. Returns how many
    there were not yet."""
    months: list[date] = []
    month = timezone.now().astimezone(UTC).date().replace(day=1)
    last = month + AHEAD
    while month <= last:
        months.append(month)
        month = (month + timedelta(days=32)).replace(day=1)
    made = 0
    for one in months:
        with connection.cursor() as cursor:
            cursor.execute("SELECT caracal_make_ledger_partition(%s)", [one])
            made += bool((cursor.fetchone() or (False,))[0])
    return made


def retire(*, seconds: float = RUN_SECONDS) -> Outcome:
    """Removes what is past its retention, for ``seconds`` at most."""
    until = time.monotonic() + seconds
    with locks.held(LockClass.JOB, RETENTION) as is_mine:
        if not is_mine:
            return Outcome()
        cutoffs = past()
        if not cutoffs:
            return Outcome()
        removed = sum(
            _drop(partition, cutoffs)
            for partition, month in statements.fetch_all("audit/ledger_months", {})
            if _ended(month) <= max(cutoffs.values())
        )
        for zone_id, cutoff in cutoffs.items():
            while time.monotonic() < until:
                gone = _remove(zone_id, cutoff)
                removed += gone
                if gone < BATCH:
                    break
    return Outcome(removed)


@dataclass(frozen=True, slots=True)
class Past:
    """Rows of a zone that are past their retention: how many, counted up to
    ``COUNTED``, and when the oldest happened."""

    zone_id: str
    rows: int
    oldest: datetime


def foresee(cutoffs: Cutoffs) -> list[Past]:
    """What a run with ``cutoffs`` would remove, zone by zone, most first."""
    asked = {
        "zones": list(cutoffs),
        "befores": list(cutoffs.values()),
        "limit": COUNTED + 1,
    }
    return [Past(*row) for row in statements.fetch_all("audit/ledger_past", asked)]


def past(
    zone_ids: list[str] | None = None, *, without_hold_of: str | None = None
) -> Cutoffs:
    """Before what the rows of each zone, or of some, may go; zones that are held are
    left out. ``without_hold_of`` is a scope whose hold is thought away."""
    zones = zone_ids or list(AuditChain.objects.values_list("zone_id", flat=True))
    now = timezone.now()
    found = retention.of_every_zone(zones, without_hold_of=without_hold_of)
    cutoffs = {one: found[one].cutoff(now) for one in zones}
    return {one: cutoff for one, cutoff in cutoffs.items() if cutoff is not None}


def _ended(month: date) -> datetime:
    following = (month + timedelta(days=32)).replace(day=1)
    return datetime(following.year, following.month, 1, tzinfo=UTC)


@transaction.atomic(durable=True)
def _drop(partition: str, cutoffs: Cutoffs) -> int:
    asked = {
        "partition": partition,
        "zones": list(cutoffs),
        "befores": list(cutoffs.values()),
    }
    gone = statements.fetch_all("audit/ledger_retire_partition", asked)
    for zone_id, count in gone:
        _leave_evidence(zone_id, cutoffs[zone_id], count)
    return sum(count for _, count in gone)


@transaction.atomic(durable=True)
def _remove(zone_id: str, cutoff: datetime) -> int:
    asked = {"zone_id": zone_id, "before": cutoff, "limit": BATCH}
    (gone,) = statements.fetch_one("audit/ledger_retire", asked)
    if gone:
        _leave_evidence(zone_id, cutoff, gone)
    return int(gone)


def _leave_evidence(zone_id: str, cutoff: datetime, count: int) -> None:
    """Says on the chain and in the audit trail what was removed."""
    chain = AuditChain.objects.select_for_update().get(zone_id=zone_id)
    before = max(cutoff, removed_before(chain) or cutoff)
    AuditChain.objects.filter(zone_id=zone_id).update(
        removed_before=before, removed_mac=removal_mac(zone_id, before, audit_key())
    )
    event = DecisionsRemoved(
        zone_id=zone_id,
        entity_id=zone_id,
        removed=count,
        before=to_wire(cutoff) or "",
    )
    record(ACTOR, event, reason=REASON)


def removal_mac(zone_id: str, before: datetime, key: bytes) -> bytes:
    """What says that the platform removed the zone's rows before a moment."""
    text = f"removed\x1f{zone_id}\x1f{before.astimezone(UTC).isoformat()}".encode()
    return hmac.digest(key or b"none", text, "sha256")


def removed_before(end: AuditChain | None) -> datetime | None:
    """Up to when a zone's rows may be gone; None when none may."""
    if end is None or end.removed_before is None or end.removed_mac is None:
        return None
    told = bytes(end.removed_mac)
    made = (removal_mac(end.zone_id, end.removed_before, key) for key in known_keys())
    is_told = any(hmac.compare_digest(told, one) for one in made)
    return end.removed_before if is_told else None
