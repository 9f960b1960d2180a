"""Registering and deregistering an endpoint (coordinator.md 5.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from agents import errors
from agents.invocations import services as invocations
from agents.models import AgentService
from agents.registry.events import (
    ServiceDeregistered,
    ServiceRegistered,
    ServiceUpdated,
)
from agents.registry.rules import endpoint_fault
from agents.services.ending import may_manage
from audit import record
from caracal_site import jobs, statements
from caracal_site.actors import Actor
from caracal_site.database import Changed
from caracal_site.errors import InvalidBody, Issue
from caracal_site.ids import new_id
from tokens.bearer import caller_parameters, refuse_dead_caller


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRequest:
    """What an application offers."""

    application_id: str
    endpoint_url: str
    protocol_versions: tuple[str, ...] = ()
    framework_name: str | None = None
    framework_version: str | None = None
    capabilities: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Registered:
    """The service as JSON text; ``is_new`` unless it was registered before."""

    service: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class Deregistered:
    """What ended, or would: the service and its open calls."""

    service_id: str
    invocations: tuple[str, ...] = ()


@transaction.atomic
def register_service(
    actor: Actor, *, zone_id: str, request: ServiceRequest
) -> Registered:
    """Registers the endpoint, or says anew what it is. Raises InvalidBody,
    ApplicationOwnershipRequired, OutsideAgentSubtree or ApplicationNotFound."""
    fault = endpoint_fault(request.endpoint_url)
    if fault:
        raise InvalidBody([Issue(("endpoint_url",), fault)])
    if not actor.acts_for(request.application_id):
        raise errors.ApplicationOwnershipRequired
    named = _columns(actor, zone_id, request)
    zone_live, identity_live, agent_live, application_live, known = (
        statements.fetch_one("agents/registry/register_facts", named)
    )
    refuse_dead_caller(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    if actor.agent_session_id:
        raise errors.OutsideAgentSubtree
    if not application_live:
        raise errors.ApplicationNotFound
    service_id = known or named["id"]
    kind = ServiceUpdated if known else ServiceRegistered
    event = kind(
        zone_id=zone_id,
        entity_id=service_id,
        application_id=request.application_id,
        endpoint_url=request.endpoint_url,
    )
    evidence = record.prepare(actor, event)
    written, service = statements.fetch_one(
        "agents/registry/register", named | evidence.parameters()
    )
    if written != service_id:
        # Registered, or deregistered, by somebody else in between.
        raise Changed
    return Registered(str(service), is_new=not known)


@transaction.atomic
def deregister_service(
    actor: Actor, *, zone_id: str, service_id: str, reason: str
) -> Deregistered:
    """Ends the service and cancels its open calls. Raises ServiceNotFound,
    ApplicationOwnershipRequired or OutsideAgentSubtree."""
    zone_live, identity_live, agent_live, application_id, endpoint_url = (
        statements.fetch_one(
            "agents/registry/lock",
            {**caller_parameters(actor), "zone_id": zone_id, "id": service_id},
        )
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
    AgentService.objects.filter(id=service_id).update(
        deregistered_at=Now(), deregistration_reason=reason, updated_at=Now()
    )
    headline = ServiceDeregistered(
        zone_id=zone_id,
        entity_id=service_id,
        application_id=application_id,
        endpoint_url=endpoint_url,
    )
    closed = invocations.close_of_service(
        actor, zone_id=zone_id, service_id=service_id, headline=headline, reason=reason
    )
    return Deregistered(service_id, tuple(closed))


def preview_deregistration(*, service_id: str) -> Deregistered:
    """What ``deregister_service`` would end."""
    return Deregistered(service_id, tuple(invocations.foresee_of_service(service_id)))


def age_services() -> int:
    """Writes down that services past their lease are unhealthy. Returns how many."""
    return jobs.in_batches("agents/registry/age", {})


def _columns(actor: Actor, zone_id: str, request: ServiceRequest) -> dict[str, Any]:
    return {
        **caller_parameters(actor),
        "id": new_id(),
        "zone_id": zone_id,
        "application_id": request.application_id,
        "endpoint_url": request.endpoint_url,
        "protocol_versions": list(request.protocol_versions),
        "framework_name": request.framework_name,
        "framework_version": request.framework_version,
        "capabilities": list(request.capabilities),
        "metadata": orjson.dumps(request.metadata).decode(),
        "lease_seconds": settings.SERVICE_AGENT_LEASE_SECONDS,
    }
