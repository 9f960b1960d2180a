"""Reads of agent services for the coordinator: JSON from the database."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from agents.errors import ServiceNotFound
from agents.registry.shapes import Health
from caracal_site import statements
from caracal_site.actors import Actor
from caracal_site.coordinator.listing import PageQuery, Question, page
from tokens.bearer import caller_parameters, refuse_dead_caller


class ServicesQuery(PageQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The filters of the list."""

    application_id: Annotated[str, Meta(min_length=1, max_length=128)] | UnsetType = (
        UNSET
    )
    health: Health | UnsetType = UNSET


CONDITIONS = {
    "application_id": "a.application_id = %(application_id)s",
    "health": (
        "CASE WHEN a.lease_expires_at > now() THEN a.health ELSE 'unhealthy' END"
        " = %(health)s"
    ),
}


def get_service(actor: Actor, *, zone_id: str, service_id: str) -> str:
    """The service as JSON text. Raises ServiceNotFound for what the caller may not
    see."""
    zone_live, identity_live, agent_live, service = statements.fetch_one(
        "agents/registry/get",
        {
            **caller_parameters(actor),
            "zone_id": zone_id,
            "id": service_id,
            "sees_all": actor.sees_whole_zone,
        },
    )
    refuse_dead_caller(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    if service is None:
        raise ServiceNotFound
    return str(service)


def list_services(actor: Actor, *, zone_id: str, query: ServicesQuery) -> bytes:
    """A page of the zone's registered services; an application sees its own."""
    question = Question(
        "agents/registry/list",
        f"{zone_id}/agent-services",
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
