"""The end of agents: asked for, overdue, or with what they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import orjson
from django.db import transaction

from agents import errors
from agents.events import AgentsEnded
from agents.models import AgentSession
from agents.querysets import AgentSessionQuerySet
from agents.rules import within_subtree
from agents.services import capacity
from audit import record
from caracal_site import actors, statements
from caracal_site.actors import COORDINATOR_ADMIN, Actor
from delegations.rules import Agent

# Each of the two packages needs the other: by module, so that either may come first.
from delegations.services import ending as falling
from tokens.bearer import caller_parameters, refuse_dead_caller


@dataclass(frozen=True, slots=True)
class Ended:
    """What ended, or would: ids in the order they fall."""

    agents: tuple[str, ...] = ()
    edges: tuple[str, ...] = ()
    invocations: tuple[str, ...] = ()

    @classmethod
    def of(cls, *falls: falling.Fall) -> Ended:
        return cls(
            agents=tuple(chain.from_iterable(fall.agents for fall in falls)),
            edges=tuple(chain.from_iterable(fall.edges for fall in falls)),
            invocations=tuple(chain.from_iterable(fall.invocations for fall in falls)),
        )


def may_manage(actor: Actor, application_id: str) -> bool:
    """Whether the actor may suspend, resume or end agents of the application."""
    return (
        actor.is_operator
        or actor.has_scope(COORDINATOR_ADMIN)
        or actor.acts_for(application_id)
    )


def locked_agent(actor: Actor, zone_id: str, agent_id: str) -> dict[str, Any]:
    """The agent and its parent, locked, for a verb the actor may do to it.

    Raises AgentNotFound, ApplicationOwnershipRequired or OutsideAgentSubtree.
    """
    zone_live, identity_live, agent_live, found = statements.fetch_one(
        "agents/lock", {**caller_parameters(actor), "zone_id": zone_id, "id": agent_id}
    )
    refuse_dead_caller(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    if found is None:
        raise errors.AgentNotFound
    agent: dict[str, Any] = orjson.loads(found)
    if not may_manage(actor, agent["application_id"]):
        raise errors.ApplicationOwnershipRequired
    bound = actor.agent_session_id
    if bound and not within_subtree(bound, agent_id, agent["ancestor_ids"]):
        raise errors.OutsideAgentSubtree
    return agent


def _is_leaf(zone_id: str, agent_id: str) -> bool:
    """Whether nothing hangs on the agent, which is locked."""
    named = {"zone_id": zone_id, "id": agent_id}
    return bool(statements.fetch_one("agents/leaf", named)[0])


@transaction.atomic
def terminate_agent(
    actor: Actor, *, zone_id: str, agent_id: str, reason: str
) -> falling.Fall:
    """Ends the agent with its subtree, edges and open invocations (D13).

    Ending what has ended changes nothing and returns an empty Fall.
    """
    agent = locked_agent(actor, zone_id, agent_id)
    if agent["status"] not in ("active", "suspended"):
        return falling.Fall(zone_id=zone_id)
    if _is_leaf(zone_id, agent_id):
        return _end_leaf(actor, zone_id, agent, reason)
    known = [agent_id, agent["parent_id"]] if agent["parent_id"] else [agent_id]
    return falling.carry_out(
        actor,
        zone_id,
        headline=lambda fall: headline(zone_id, agent_id, fall),
        reason=reason,
        agent_ids=[agent_id],
        locked=[str(id_) for id_ in known],
    )


def _end_leaf(
    actor: Actor, zone_id: str, agent: dict[str, object], reason: str
) -> falling.Fall:
    """``falling.carry_out`` for a locked agent that nothing hangs on, which is most."""
    fall = _alone(zone_id, agent)
    agent_id = fall.agents[0]
    events = [headline(zone_id, agent_id, fall), *falling.announcements(fall, reason)]
    evidence = record.prepare(actor, events, reason=reason)
    statements.fetch_one(
        "agents/end_leaf",
        {
            "id": agent_id,
            "zone_id": zone_id,
            "application_id": agent["application_id"],
            "reason": reason,
            "slot": capacity.any_slot(),
            **evidence.parameters(),
        },
    )
    record.written(evidence)
    if agent["parent_id"]:
        statements.execute(
            "agents/count_child", {"id": agent["parent_id"], "change": -1}
        )
    return fall


def _alone(zone_id: str, agent: dict[str, Any]) -> falling.Fall:
    """The fall of an agent that nothing hangs on."""
    row = Agent(
        agent["id"],
        agent["parent_id"],
        agent["application_id"],
        tuple(agent["ancestor_ids"]),
        agent["subject_session_id"],
        agent["transition"],
    )
    return falling.Fall(zone_id=zone_id, agents=(row.id,), agent_rows={row.id: row})


def preview_termination(*, zone_id: str, agent_ids: Sequence[str]) -> falling.Fall:
    """What ``terminate_agent`` would end."""
    return falling.foresee(zone_id, agent_ids=agent_ids)


def headline(zone_id: str, entity_id: str, fall: falling.Fall) -> AgentsEnded:
    return AgentsEnded(
        zone_id=zone_id,
        entity_id=entity_id,
        agents=len(fall.agents),
        edges=len(fall.edges),
        invocations=len(fall.invocations),
    )


def end_due_agents(zone_id: str, limit: int = 500) -> int:
    """Expires the zone's agents past their time; to be called in a transaction.

    Picks ids without locks, then locks, looks again and acts. Returns how many ended,
    their subtrees included.
    """
    due = [
        str(row[0])
        for row in statements.fetch_all(
            "agents/due", {"zone_id": zone_id, "limit": limit}
        )
    ]
    if not due:
        return 0
    fall = falling.carry_out(
        actors.system("expire-agents"),
        zone_id,
        headline=lambda fall: headline(zone_id, due[0], fall),
        reason="ttl",
        agent_ids=due,
        status="expired",
    )
    return len(fall.agents)


@transaction.atomic
def end_agents_of(
    actor: Actor,
    *,
    zone_id: str,
    application_ids: Sequence[str] | None,
    reason: str,
    closes: bool = True,
) -> Ended:
    """Ends every live agent of the zone, or of these applications in it and on their
    authority sessions, and ``closes`` them for new ones, which is for archiving. The
    caller records the gesture itself.
    """
    # Agents are locked before room everywhere, so the door is shut in between; who
    # slipped in until then ends as well.
    live = _live(zone_id, application_ids)
    first = _end_live(actor, zone_id, live, reason)
    if not closes:
        return Ended.of(first)
    capacity.close([zone_id] if application_ids is None else list(application_ids))
    second = _end_live(actor, zone_id, live, reason)
    return Ended.of(first, second)


@transaction.atomic
def end_agents_on(
    actor: Actor, *, zone_id: str, session_ids: Sequence[str], reason: str
) -> Ended:
    """Ends every live agent on these authority sessions. The caller ends the sessions
    and records the gesture."""
    live = AgentSession.objects.in_zone(zone_id).live().on_sessions(session_ids)
    return Ended.of(_end_live(actor, zone_id, live, reason)) if session_ids else Ended()


def preview_end_on(*, zone_id: str, session_ids: Sequence[str]) -> Ended:
    """What ``end_agents_on`` would end."""
    live = AgentSession.objects.in_zone(zone_id).live().on_sessions(session_ids)
    return _foreseen(zone_id, live) if session_ids else Ended()


def preview_end_of(*, zone_id: str, application_ids: Sequence[str] | None) -> Ended:
    """What ``end_agents_of`` would end."""
    return _foreseen(zone_id, _live(zone_id, application_ids))


def _live(
    zone_id: str, application_ids: Sequence[str] | None
) -> AgentSessionQuerySet[AgentSession]:
    agents = AgentSession.objects.in_zone(zone_id).live()
    return agents if application_ids is None else agents.acting_for(application_ids)


def _foreseen(zone_id: str, agents: AgentSessionQuerySet[AgentSession]) -> Ended:
    ids = _ids(agents)
    return Ended.of(falling.foresee(zone_id, agent_ids=ids)) if ids else Ended()


def _ids(agents: AgentSessionQuerySet[AgentSession]) -> list[str]:
    return list(agents.order_by("id").values_list("id", flat=True))


def _end_live(
    actor: Actor,
    zone_id: str,
    agents: AgentSessionQuerySet[AgentSession],
    reason: str,
) -> falling.Fall:
    ids = _ids(agents)
    if not ids:
        return falling.Fall(zone_id=zone_id)
    return falling.carry_out(
        actor,
        zone_id,
        headline=lambda fall: headline(zone_id, ids[0], fall),
        reason=reason,
        agent_ids=ids,
    )
