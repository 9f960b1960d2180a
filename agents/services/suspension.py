"""Suspend and resume: reversible, over a subtree, never a revocation (D13).

Agents are locked from the top down, in id order, like everywhere; whoever changes a
status has locked the agent and its parent. So an agent is active only below active
ones: who suspends a tree meets everybody who spawns or resumes in it at a lock, and
looks again at what hangs on the tree once all of it is locked.
"""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from agents import errors
from agents.events import AgentKeptSuspended, AgentResumed, AgentSuspended
from agents.models import AgentSession, AgentStatus
from agents.rules import LEASE_LOST
from agents.services.ending import locked_agent
from audit import record
from caracal_site import statements
from caracal_site.actors import Actor
from caracal_site.database import Changed

# Each round locks what had come to hang on the round before, one level down.
ROUNDS = 12


@transaction.atomic
def suspend_agent(actor: Actor, *, zone_id: str, agent_id: str, reason: str) -> int:
    """Suspends the agent and the active agents below it; returns how many.

    A suspended agent stops the walk: what is below it rests already. One that rests
    because its lease ran out is no longer resumed by its heartbeat. Raises
    NothingToSuspend.
    """
    locked_agent(actor, zone_id, agent_id)
    suspended = _turn(actor, zone_id, agent_id, AgentStatus.SUSPENDED, reason)
    return suspended or _rest_on(actor, zone_id, agent_id, reason)


def _rest_on(actor: Actor, zone_id: str, agent_id: str, reason: str) -> int:
    """Makes a lapsed lease no longer the reason why the locked agent rests."""
    named = {"id": agent_id, "reason": reason, "was": LEASE_LOST}
    if reason == LEASE_LOST or not statements.execute("agents/rest_on", named):
        raise errors.NothingToSuspend
    event = AgentKeptSuspended(zone_id=zone_id, entity_id=agent_id)
    record.record(actor, event, reason=reason)
    return 1


@transaction.atomic
def resume_agent(actor: Actor, *, zone_id: str, agent_id: str, reason: str) -> int:
    """Resumes the agent and the suspended agents below it; returns how many.

    Raises NothingToResume, or AncestorNotActive when something above it rests.
    """
    agent = locked_agent(actor, zone_id, agent_id)
    if agent["status"] != AgentStatus.SUSPENDED:
        raise errors.NothingToResume
    # The parent is locked, and is active only below active agents itself.
    if agent["parent_status"] not in (None, AgentStatus.ACTIVE):
        raise errors.AncestorNotActive
    return _turn(actor, zone_id, agent_id, AgentStatus.ACTIVE, reason)


def preview_suspension(*, zone_id: str, agent_id: str) -> tuple[str, ...]:
    """The agents ``suspend_agent`` would suspend, or keep at rest."""
    found = _subtree(zone_id, agent_id, AgentStatus.ACTIVE)
    if found:
        return found
    lapsed = AgentSession.objects.in_zone(zone_id).resting_for(LEASE_LOST)
    return (agent_id,) if lapsed.filter(id=agent_id).exists() else ()


def preview_resumption(*, zone_id: str, agent_id: str) -> tuple[str, ...]:
    """The agents ``resume_agent`` would resume."""
    return _subtree(zone_id, agent_id, AgentStatus.SUSPENDED)


def _subtree(zone_id: str, agent_id: str, status: AgentStatus) -> tuple[str, ...]:
    named = {"zone_id": zone_id, "id": agent_id, "status": status.value}
    return tuple(str(row[0]) for row in statements.fetch_all("agents/subtree", named))


def _turn(
    actor: Actor, zone_id: str, agent_id: str, to: AgentStatus, reason: str
) -> int:
    """Moves the subtree to the other live status; returns how many agents moved."""
    suspends = to is AgentStatus.SUSPENDED
    was = AgentStatus.ACTIVE if suspends else AgentStatus.SUSPENDED
    named = {"zone_id": zone_id, "id": agent_id, "status": was.value}
    for _round in range(ROUNDS):
        ids, agents = statements.fetch_one("agents/hold_subtree", named)
        if not agents:
            return 0
        event = _event(zone_id, agent_id, to, reason, agents)
        evidence = record.prepare(actor, event, reason=reason)
        (changed,) = statements.fetch_one(
            "agents/set_status",
            {
                "id": agent_id,
                "ids": ids,
                "status": to.value,
                "was": was.value,
                "reason": reason if suspends else None,
                "lease_seconds": settings.SERVICE_AGENT_LEASE_SECONDS,
                **evidence.parameters(),
            },
        )
        if changed:
            record.written(evidence)
            return int(agents)
    raise Changed


def _event(
    zone_id: str, agent_id: str, to: AgentStatus, reason: str, agents: int
) -> AgentSuspended | AgentResumed:
    if to is AgentStatus.ACTIVE:
        return AgentResumed(zone_id=zone_id, entity_id=agent_id, agents=agents)
    return AgentSuspended(
        zone_id=zone_id, entity_id=agent_id, agents=agents, reason=reason
    )
