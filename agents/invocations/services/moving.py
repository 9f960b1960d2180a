"""Starting, canceling and completing calls (coordinator.md 6.4, D17).

To start and to complete are one statement each, a transaction of its own that does
nothing unless all is in order; only when it did nothing is the reason looked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction

from agents.invocations import events, machine, rules
from agents.invocations.errors import InvocationNotFound
from audit import record
from caracal_site import statements
from caracal_site.actors import Actor
from caracal_site.database import Changed
from tokens.bearer import caller_parameters, refuse_dead_caller


def start_invocation(actor: Actor, *, zone_id: str, invocation_id: str) -> str:
    """Starts the next attempt; the call as JSON text. Its ``attempts`` is the number
    that ``complete_invocation`` takes. Raises the refusals of ``rules``."""
    return _move(actor, zone_id, invocation_id, "start", "start", {})


def complete_invocation(
    actor: Actor,
    *,
    zone_id: str,
    invocation_id: str,
    status: str,
    attempt: int | None = None,
    error: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """Ends the attempt that runs; the call as JSON text. With ``attempt`` only if that
    is the one. Raises the refusals of ``rules``."""
    more = {
        "attempt": attempt,
        "error": orjson.dumps(error).decode() if error is not None else None,
        "metadata": orjson.dumps(metadata or {}).decode(),
        "is_failure": status == "failed",
    }
    return _move(
        actor, zone_id, invocation_id, "complete", f"complete as {status}", more
    )


@transaction.atomic
def cancel_invocation(
    actor: Actor, *, zone_id: str, invocation_id: str, reason: str | None
) -> str:
    """Ends a call that waits, or asks for the end of one that runs; the call as JSON
    text. Raises the refusals of ``rules``."""
    facts = _locked(actor, zone_id, invocation_id)
    refusal = rules.move_refusal(actor, "cancel", "cancel", facts, None)
    if refusal:
        raise refusal
    move = machine.the("cancel", facts["status"])
    told = events.told(
        move,
        zone_id=zone_id,
        invocation_id=invocation_id,
        service_id=facts["service_id"],
        transition=facts["transition"] + 1,
    )
    evidence = record.prepare(actor, told, reason=reason)
    (canceled,) = statements.fetch_one(
        "agents/invocations/cancel",
        {
            "id": invocation_id,
            "to": move.to,
            "is_final": move.to not in machine.OPEN,
            "metadata": orjson.dumps(
                {"cancel_reason": reason} if reason else {}
            ).decode(),
            "cancel_seconds": settings.INVOCATION_CANCEL_TIMEOUT_SECONDS,
            **evidence.parameters(),
        },
    )
    record.written(evidence)
    return str(canceled)


def _move(
    actor: Actor,
    zone_id: str,
    invocation_id: str,
    verb: str,
    on: str,
    more: Mapping[str, Any],
) -> str:
    (move, *_) = machine.moves_on(on)
    told = events.told(move, zone_id=zone_id, invocation_id=invocation_id)
    evidence = record.prepare(actor, told, is_one_statement=True)
    (moved,) = statements.fetch_one(
        f"agents/invocations/{verb}",
        {
            **caller_parameters(actor),
            "zone_id": zone_id,
            "id": invocation_id,
            "to": machine.target_of(on),
            "sources": machine.sources_of(on),
            "applications": rules.applications_of(actor),
            "reaches_all": rules.reaches_all(actor),
            **more,
            **evidence.parameters(),
        },
    )
    if moved is None:
        _refuse(actor, zone_id, invocation_id, verb, on, more.get("attempt"))
        # There is no reason any more: what stood in the way has gone.
        raise Changed
    record.written(evidence)
    return str(moved)


@transaction.atomic
def _refuse(
    actor: Actor,
    zone_id: str,
    invocation_id: str,
    verb: str,
    on: str,
    attempt: int | None,
) -> None:
    facts = _locked(actor, zone_id, invocation_id)
    refusal = rules.move_refusal(actor, verb, on, facts, attempt)
    if refusal:
        raise refusal


def _locked(actor: Actor, zone_id: str, invocation_id: str) -> dict[str, Any]:
    zone_live, identity_live, agent_live, found = statements.fetch_one(
        "agents/invocations/lock",
        {**caller_parameters(actor), "zone_id": zone_id, "id": invocation_id},
    )
    refuse_dead_caller(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    if found is None:
        raise InvocationNotFound
    facts: dict[str, Any] = orjson.loads(found)
    return facts
