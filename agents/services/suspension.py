"""Suspend and resume: reversible, over a subtree, never a revocation (D13)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import transaction

from agents import errors
from agents.events import AgentResumed, AgentSuspended
from agents.models import AgentSession, AgentStatus
from agents.services.ending import locked_agent
from audit import record
from caracal_site import statements
from caracal_site.actors import Actor
from caracal_site.database import Changed

ROUNDS = 8


@transaction.atomic
def suspend_agent(actor: Actor, *, zone_id: str, agent_id: str, reason: str) -> int:
    """Suspends the agent and the active agents below it; returns how many.

    A suspended agent stops the walk: what is below it rests already. Raises
    NothingToSuspend.
    """
    locked_agent(actor, zone_id, agent_id)
    tree = _locked_tree(zone_id, agent_id, AgentStatus.ACTIVE)
    if not tree:
        raise errors.NothingToSuspend
    events = [
        AgentSuspended(
            zone_id=zone_id,
            entity_id=id_,
            parent_id=parent,
            transition=transition + 1,
            reason=reason,
            affected=len(tree),
        )
        for id_, parent, transition in tree
    ]
    _set_status(actor, tree, _first(events, agent_id), AgentStatus.SUSPENDED, reason)
    return len(tree)


@transaction.atomic
def resume_agent(actor: Actor, *, zone_id: str, agent_id: str) -> int:
    """Resumes the agent and the suspended agents below it; returns how many.

    Raises NothingToResume, or AncestorNotActive when something above it rests.
    """
    agent = locked_agent(actor, zone_id, agent_id)
    if agent["status"] != AgentStatus.SUSPENDED:
        raise errors.NothingToResume
    above = AgentSession.objects.filter(id__in=agent["ancestor_ids"])
    if above.exclude(status=AgentStatus.ACTIVE).exists():
        raise errors.AncestorNotActive
    tree = _locked_tree(zone_id, agent_id, AgentStatus.SUSPENDED)
    events = [
        AgentResumed(
            zone_id=zone_id,
            entity_id=id_,
            parent_id=parent,
            transition=transition + 1,
            affected=len(tree),
        )
        for id_, parent, transition in tree
    ]
    _set_status(actor, tree, _first(events, agent_id), AgentStatus.ACTIVE, None)
    return len(tree)


def _first(events: Sequence[Any], agent_id: str) -> list[Any]:
    """The event of the agent itself leads: the audit row is about it."""
    return sorted(events, key=lambda event: event.entity_id != agent_id)


def _locked_tree(zone_id: str, agent_id: str, status: str) -> list[tuple[Any, ...]]:
    locked = {agent_id}
    for _round in range(ROUNDS):
        tree = statements.fetch_all(
            "agents/subtree", {"zone_id": zone_id, "id": agent_id, "status": status}
        )
        wanted = {str(row[0]) for row in tree} - locked
        if not wanted:
            return tree
        statements.execute("agents/hold", {"ids": list(wanted)})
        locked |= wanted
    raise Changed


def _set_status(
    actor: Actor,
    tree: Sequence[tuple[Any, ...]],
    events: list[Any],
    status: AgentStatus,
    reason: str | None,
) -> None:
    suspending = status is AgentStatus.SUSPENDED
    evidence = record.prepare(actor, events, reason=reason)
    statements.fetch_one(
        "agents/set_status",
        {
            "ids": [row[0] for row in tree],
            "status": status.value,
            "was": AgentStatus.ACTIVE.value
            if suspending
            else AgentStatus.SUSPENDED.value,
            "reason": reason,
            "lease_seconds": settings.SERVICE_AGENT_LEASE_SECONDS,
            **evidence.parameters(),
        },
    )
    record.written(evidence)
