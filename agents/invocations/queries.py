"""Reads of invocations for the coordinator: JSON from the database."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from agents.invocations.errors import InvocationNotFound
from caracal_site import statements
from caracal_site.actors import Actor
from caracal_site.coordinator.listing import PageQuery, Question, page
from tokens.bearer import caller_parameters, refuse_dead_caller

Text = Annotated[str, Meta(min_length=1, max_length=128)]
Status = Literal[
    "pending",
    "running",
    "succeeded",
    "failed",
    "cancel_requested",
    "canceled",
    "timed_out",
    "dead",
]


class InvocationsQuery(
    PageQuery, frozen=True, forbid_unknown_fields=True, kw_only=True
):
    """The filters of the list; ``session_id`` is source or target."""

    status: Status | UnsetType = UNSET
    service_id: Text | UnsetType = UNSET
    session_id: Text | UnsetType = UNSET


CONDITIONS = {
    "status": "a.status = %(status)s",
    "service_id": "a.service_id = %(service_id)s",
    "session_id": (
        "(a.source_session_id = %(session_id)s OR a.target_session_id = %(session_id)s)"
    ),
}


def get_invocation(actor: Actor, *, zone_id: str, invocation_id: str) -> str:
    """The call as JSON text. Raises InvocationNotFound for what the caller may not
    see."""
    zone_live, identity_live, agent_live, invocation = statements.fetch_one(
        "agents/invocations/get",
        {
            **caller_parameters(actor),
            "zone_id": zone_id,
            "id": invocation_id,
            "sees_all": actor.sees_whole_zone,
        },
    )
    refuse_dead_caller(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    if invocation is None:
        raise InvocationNotFound
    return str(invocation)


def list_invocations(actor: Actor, *, zone_id: str, query: InvocationsQuery) -> bytes:
    """A page of the zone's calls; an application sees those of its services, of its
    agents, and its own."""
    question = Question(
        "agents/invocations/list",
        f"{zone_id}/invocations",
        {"zone_id": zone_id, "sees_all": actor.sees_whole_zone},
    )
    for name, value in query.filters().items():
        question.conditions.append(CONDITIONS[name])
        question.parameters[name] = value
    return page(
        actor,
        question,
        query,
        refuse_dead=refuse_dead_caller,
        caller=caller_parameters(actor),
    )
