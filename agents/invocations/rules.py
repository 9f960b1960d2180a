"""The rules of invocations: pure functions on plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.errors import OutsideAgentSubtree, ServiceNotFound
from agents.invocations import errors, machine
from agents.rules import within_subtree
from caracal_site.actors import COORDINATOR_ADMIN, Actor
from caracal_site.errors import CaracalError

INVOKE_FROM = "coordinator.invoke_from:"
REFUSED = {
    "start": errors.InvocationNotStartable,
    "cancel": errors.InvocationNotCancelable,
    "complete": errors.InvocationNotCompletable,
}


def reaches_all(actor: Actor) -> bool:
    """Whether the actor may make and move every call of the zone."""
    return actor.is_operator or actor.has_scope(COORDINATOR_ADMIN)


def applications_of(actor: Actor) -> list[str]:
    """The applications the actor may call as and work for."""
    allowed = [
        scope.removeprefix(INVOKE_FROM)
        for scope in actor.scopes
        if scope.startswith(INVOKE_FROM)
    ]
    return sorted({actor.client_id, *allowed} - {""})


def creation_refusal(
    actor: Actor,
    *,
    session_ids: list[str],
    source_id: str | None,
    service_application_id: str | None,
    sessions: Mapping[str, Mapping[str, Any]],
) -> CaracalError | None:
    """Why this call may not be made, in the contract's order (6.1); else None.
    ``sessions`` are the live ones among those named."""
    if service_application_id is None:
        return ServiceNotFound()
    if len(sessions) < len(session_ids):
        return errors.CallSessionNotFound()
    source = sessions[source_id] if source_id else None
    invoker = source["application_id"] if source else service_application_id
    if not (reaches_all(actor) or invoker in applications_of(actor)):
        return errors.InvokerOwnershipRequired()
    if not _is_bound_within(actor, source_id, sessions):
        return OutsideAgentSubtree()
    return None


def move_refusal(
    actor: Actor, verb: str, on: str, facts: Mapping[str, Any], attempt: int | None
) -> CaracalError | None:
    """Why the actor may not do this to the call, in the contract's order (6.4)."""
    parties = (
        ("target_session_id", "source_session_id")
        if verb == "cancel"
        else ("target_session_id",)
    )
    if not _may(actor, verb, facts):
        return errors.InvokerOwnershipRequired()
    if not any(_is_bound_within(actor, facts[p], facts["sessions"]) for p in parties):
        return OutsideAgentSubtree()
    if attempt is not None and attempt != facts["attempts"]:
        return errors.AttemptSuperseded()
    if machine.move(on, facts["status"]) is None:
        return REFUSED[verb]()
    return start_refusal(facts) if verb == "start" else None


def start_refusal(facts: Mapping[str, Any]) -> CaracalError | None:
    """Why the next attempt may not start, although the machine allows it."""
    if facts["attempts"] >= facts["max_attempts"]:
        return errors.InvocationNotStartable("No attempts are left.")
    if facts["is_cancel_requested"] or facts["is_overdue"]:
        return errors.InvocationNotStartable("It was canceled, or its time is over.")
    wait = facts["wait_seconds"]
    if wait is not None and wait > 0:
        return errors.InvocationNotStartable.before(wait)
    if not all(session["is_live"] for session in facts["sessions"].values()):
        return errors.InvocationNotStartable("A session of the call is not live.")
    if not facts["is_registered"]:
        return errors.InvocationNotStartable("Its service was deregistered.")
    return None


def _may(actor: Actor, verb: str, facts: Mapping[str, Any]) -> bool:
    """Whose the service is may do everything; who called may cancel."""
    if reaches_all(actor):
        return True
    owners = {facts["service_application_id"]}
    if verb == "cancel":
        owners.add(facts["application_id"])
        source = facts["sessions"].get(facts["source_session_id"])
        owners |= {source["application_id"]} if source else set()
    return not owners.isdisjoint(applications_of(actor))


def _is_bound_within(
    actor: Actor, agent_id: str | None, sessions: Mapping[str, Mapping[str, Any]]
) -> bool:
    """Whether a token bound to an agent, if it is one, reaches this session (D11)."""
    bound = actor.agent_session_id
    if bound is None:
        return True
    if agent_id is None:
        return False
    return within_subtree(bound, agent_id, sessions[agent_id]["ancestor_ids"])
