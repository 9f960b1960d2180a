"""The end of services: asked for, or with the application or zone they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models.functions import Now

from agents import errors
from agents.invocations import services as invocations
from agents.models import AgentService
from agents.querysets import AgentServiceQuerySet
from agents.registry.events import ServicesDeregistered
from agents.services.ending import may_manage
from caracal_site import statements
from caracal_site.actors import Actor
from tokens.bearer import caller_parameters, refuse_dead_caller


@dataclass(frozen=True, slots=True)
class Deregistered:
    """What ended, or would: services and their open calls."""

    services: tuple[str, ...] = ()
    invocations: tuple[str, ...] = ()


@transaction.atomic
def deregister_service(
    actor: Actor, *, zone_id: str, service_id: str, reason: str
) -> Deregistered:
    """Ends the service and cancels its open calls. Raises ServiceNotFound,
    ApplicationOwnershipRequired or OutsideAgentSubtree."""
    zone_live, identity_live, agent_live, application_id = statements.fetch_one(
        "agents/registry/lock",
        {**caller_parameters(actor), "zone_id": zone_id, "id": service_id},
    )
    refuse_dead_caller(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    if application_id is None:
        raise errors.ServiceNotFound
    if not may_manage(actor, application_id):
        raise errors.ApplicationOwnershipRequired
    if actor.agent_session_id:
        raise errors.OutsideAgentSubtree
    return _end(actor, zone_id, [service_id], reason)


def preview_deregistration(*, service_ids: Sequence[str]) -> Deregistered:
    """What ``deregister_service`` of each would end."""
    calls = invocations.foresee_of_services(service_ids)
    return Deregistered(tuple(service_ids), tuple(calls))


@transaction.atomic
def deregister_services_of(
    actor: Actor, *, zone_id: str, application_ids: Sequence[str] | None, reason: str
) -> Deregistered:
    """Ends every service of these applications, or of the zone (None). The caller has
    archived them and records the gesture itself."""
    found = _services_of(zone_id, application_ids).order_by("id").select_for_update()
    ids = list(found.values_list("id", flat=True))
    return _end(actor, zone_id, ids, reason) if ids else Deregistered()


def preview_services_of(
    *, zone_id: str, application_ids: Sequence[str] | None
) -> Deregistered:
    """What ``deregister_services_of`` would end."""
    found = _services_of(zone_id, application_ids).order_by("id")
    return preview_deregistration(service_ids=list(found.values_list("id", flat=True)))


def _services_of(
    zone_id: str, application_ids: Sequence[str] | None
) -> AgentServiceQuerySet[AgentService]:
    services = AgentService.objects.in_zone(zone_id).registered()
    if application_ids is None:
        return services
    return services.filter(application_id__in=application_ids)


def _end(
    actor: Actor, zone_id: str, service_ids: Sequence[str], reason: str
) -> Deregistered:
    """Ends services that are locked against new calls."""
    AgentService.objects.filter(id__in=service_ids).update(
        deregistered_at=Now(), deregistration_reason=reason, updated_at=Now()
    )
    headline = ServicesDeregistered(
        zone_id=zone_id, entity_id=service_ids[0], services=len(service_ids)
    )
    closed = invocations.close_of_services(
        actor,
        zone_id=zone_id,
        service_ids=service_ids,
        headline=headline,
        reason=reason,
    )
    return Deregistered(tuple(service_ids), tuple(closed))
