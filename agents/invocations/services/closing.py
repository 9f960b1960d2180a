"""What the platform moves on itself: calls whose time is over, or whose service ended.

The end of a session closes its calls in its own statement (``delegations/sql/end``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db import transaction

from agents.invocations import events, machine
from agents.models import Invocation
from audit import record
from audit.events import Event
from caracal_site import actors, statements
from caracal_site.actors import Actor
from caracal_site.jobs import Outcome, Sweep

REASONS = {
    "queue deadline": "queue_deadline_exceeded",
    "run deadline": "deadline_exceeded",
    "last run deadline": "deadline_exceeded",
    "cancel deadline": "cancel_deadline_exceeded",
}
SERVICE_ENDED = "service_deregistered"


def time_out_invocations(limit: int = 500) -> Outcome:
    """Moves on the calls that are due, zone by zone, until none is left."""
    sweep = Sweep()
    zones = Invocation.objects.due().values_list("zone_id", flat=True)
    for zone_id in zones.distinct().order_by("zone_id"):
        sweep.drain(zone_id, partial(_time_out_batch, zone_id, limit), limit)
    return sweep.outcome()


@transaction.atomic
def _time_out_batch(zone_id: str, limit: int) -> int:
    due = statements.fetch_all(
        "agents/invocations/due", {"zone_id": zone_id, "limit": limit}
    )
    moves = [machine.deadline(str(row[2]), is_retryable=bool(row[4])) for row in due]
    reasons = [REASONS[on] for on in moves]
    if due:
        headline = events.InvocationsClosed(
            zone_id=zone_id, entity_id=str(due[0][0]), invocations=len(due)
        )
        actor = actors.system("time-out-invocations")
        _close(actor, zone_id, due, moves, reasons, headline, reason=None)
    return len(due)


def close_of_services(
    actor: Actor,
    *,
    zone_id: str,
    service_ids: Sequence[str],
    headline: Event,
    reason: str,
) -> list[str]:
    """Cancels the open calls of services that are locked and end, and records
    ``headline``. Must run in a transaction. Returns their ids."""
    found = statements.fetch_all(
        "agents/invocations/of_service", {"service_ids": list(service_ids)}
    )
    moves, reasons = [machine.END] * len(found), [SERVICE_ENDED] * len(found)
    _close(actor, zone_id, found, moves, reasons, headline, reason=reason)
    return [str(row[0]) for row in found]


def foresee_of_services(service_ids: Sequence[str]) -> list[str]:
    """The calls ``close_of_services`` would cancel."""
    calls = Invocation.objects.open().filter(service_id__in=service_ids).order_by("id")
    return list(calls.values_list("id", flat=True))


def _close(
    actor: Actor,
    zone_id: str,
    rows: Sequence[tuple[Any, ...]],
    moves: Sequence[str],
    reasons: Sequence[str],
    headline: Event,
    *,
    reason: str | None,
) -> None:
    """Closes locked calls, given as (id, service, status, transition, retryable)."""
    told: list[Event] = [headline]
    statuses = []
    for (id_, service_id, status, transition, _), on in zip(rows, moves, strict=True):
        move = machine.the(on, status)
        statuses.append(move.to)
        told += events.told(
            move,
            zone_id=zone_id,
            invocation_id=id_,
            service_id=service_id,
            transition=transition + 1,
        )
    evidence = record.prepare(actor, told, reason=reason)
    statements.fetch_one(
        "agents/invocations/close",
        {
            "ids": [row[0] for row in rows],
            "statuses": statuses,
            "reasons": list(reasons),
            **evidence.parameters(),
        },
    )
    record.written(evidence)
