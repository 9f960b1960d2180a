"""What the ledger did not take from other producers, and what people do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from audit.errors import DecisionNotQuarantined, DecisionsStillUnfit
from audit.events import QuarantineDismissed, QuarantineTaken
from audit.ledger import ingesting
from audit.models import AuditQuarantine
from audit.record import record
from caracal_site.actors import Actor
from caracal_site.api.permissions import authorise


@dataclass(frozen=True, slots=True)
class Judged:
    """Quarantined decisions as they would be judged now: those that are fit, and why
    the others are not."""

    fit: tuple[str, ...]
    unfit: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Taken:
    """What came into the ledger, and why the rest still does not."""

    taken: tuple[str, ...]
    left: Mapping[str, str]


def judge(rows: Iterable[AuditQuarantine]) -> Judged:
    """Judges ``rows`` by the keys and the clock of now, as arriving messages are. What
    only the ledger can tell, such as another text under the id, is not told here."""
    several = list(rows)
    fit, refused = ingesting.judged([_message(row) for row in several])
    ids = {row.source_id: row.id for row in several}
    return Judged(
        tuple(ids[message.source_id] for message, _ in fit),
        {ids[one.message.source_id]: one.reason for one in refused},
    )


@transaction.atomic
def take_in(ids: Iterable[str], *, actor: Actor, reason: str) -> Taken:
    """Takes quarantined decisions into the ledger after all, as if they came now: what
    its producer signed, with a key that is known by now, and nothing else.

    What still does not fit stays. Raises DecisionNotQuarantined unless all of ``ids``
    are open and may be seen, DecisionsStillUnfit when none fits.
    """
    rows = _open(ids, actor)
    fit, refused = ingesting.judged([_message(row) for row in rows])
    refused += ingesting.stored(fit)
    left = {one.message.source_id: one.reason for one in refused}
    taken = [row for row in rows if row.source_id not in left]
    if not taken:
        raise DecisionsStillUnfit(sorted(set(left.values())))
    zones = {
        decision["zone_id"]
        for message, decision in fit
        if message.source_id not in left
    }
    _settle(taken, is_taken=True)
    event = QuarantineTaken(
        zone_id=zones.pop() if len(zones) == 1 else None,
        entity_id=taken[0].id,
        quarantine_ids=tuple(row.id for row in taken),
    )
    record(actor, event, reason=reason)
    return Taken(
        tuple(row.id for row in taken),
        {row.id: left[row.source_id] for row in rows if row.source_id in left},
    )


@transaction.atomic
def dismiss(ids: Iterable[str], *, actor: Actor, reason: str) -> list[AuditQuarantine]:
    """Settles quarantined decisions without taking them in; they stay to be read.

    Raises DecisionNotQuarantined unless all of ``ids`` are open and may be seen.
    """
    rows = _open(ids, actor)
    _settle(rows, is_taken=False)
    zones = {row.zone_id for row in rows}
    event = QuarantineDismissed(
        zone_id=zones.pop() if len(zones) == 1 else None,
        entity_id=rows[0].id,
        quarantine_ids=tuple(row.id for row in rows),
    )
    record(actor, event, reason=reason)
    return rows


def _open(ids: Iterable[str], actor: Actor) -> list[AuditQuarantine]:
    """The open rows of ``ids``, locked."""
    authorise(actor, zone_id=actor.zone_id, writes=True)
    wanted = set(ids)
    found = AuditQuarantine.objects.filter(id__in=wanted, settled_at=None)
    if not actor.is_global:
        found = found.filter(zone_id=actor.zone_id)
    rows = list(found.select_for_update().order_by("id"))
    if not rows or len(rows) != len(wanted):
        raise DecisionNotQuarantined
    return rows


def _settle(rows: Iterable[AuditQuarantine], *, is_taken: bool) -> None:
    ids = [row.id for row in rows]
    AuditQuarantine.objects.filter(id__in=ids).update(
        settled_at=timezone.now(), is_taken=is_taken
    )


def _message(row: AuditQuarantine) -> ingesting.Message:
    fields = {"data": row.data, "sig": row.signature}
    return ingesting.Message(row.source_id, fields if row.data else {})
