"""Reads of agents for the coordinator: JSON from the database, one statement each."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from agents.errors import AgentNotFound
from caracal_site import statements
from caracal_site.actors import Actor
from caracal_site.coordinator.listing import PageQuery, Question, page
from tokens.bearer import caller_parameters, refuse_dead_caller

Text = Annotated[str, Meta(min_length=1, max_length=128)]


class AgentsQuery(PageQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The filters of the agent lists."""

    status: Literal["active", "suspended", "terminated", "expired"] | UnsetType = UNSET
    lifecycle: Literal["task", "service"] | UnsetType = UNSET
    application_id: Text | UnsetType = UNSET
    label: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET


CONDITIONS = {
    "status": "a.status = %(status)s",
    "lifecycle": "a.lifecycle = %(lifecycle)s",
    "application_id": "a.application_id = %(application_id)s",
    "label": "a.labels @> ARRAY[%(label)s]::text[]",
}


def get_agent(actor: Actor, *, zone_id: str, agent_id: str) -> str:
    """The agent as JSON text. Raises AgentNotFound for what the caller may not see."""
    zone_live, identity_live, agent_live, agent = statements.fetch_one(
        "agents/get",
        {
            **caller_parameters(actor),
            "zone_id": zone_id,
            "id": agent_id,
            "sees_all": actor.sees_whole_zone,
        },
    )
    refuse_dead_caller(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    if agent is None:
        raise AgentNotFound
    return str(agent)


def list_agents(actor: Actor, *, zone_id: str, query: AgentsQuery) -> bytes:
    """A page of the zone's agents that the caller may see."""
    question = Question("agents/list", f"{zone_id}/agents", {"zone_id": zone_id})
    return _answered(actor, question, query)


def list_children(
    actor: Actor, *, zone_id: str, parent_id: str, query: AgentsQuery
) -> bytes:
    """A page of an agent's direct children that the caller may see."""
    question = Question(
        "agents/children",
        f"{zone_id}/agents/{parent_id}/children",
        {"zone_id": zone_id, "parent_id": parent_id},
    )
    return _answered(actor, question, query)


def _answered(actor: Actor, question: Question, query: AgentsQuery) -> bytes:
    for name, value in query.filters().items():
        question.conditions.append(CONDITIONS[name])
        question.parameters[name] = value
    question.parameters["sees_all"] = actor.sees_whole_zone
    if not actor.sees_whole_zone:
        question.conditions.append(statements.load("agents/visible"))
    return page(
        actor,
        question,
        query,
        refuse_dead=refuse_dead_caller,
        caller=caller_parameters(actor),
    )
