"""Registering an endpoint, and how it is (coordinator.md 5.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction

from agents import errors
from agents.registry.events import (
    ServiceRegistered,
    ServiceUpdated,
)
from agents.registry.rules import endpoint_fault
from audit import record
from caracal_site import context, statements
from caracal_site.actors import Actor
from caracal_site.database import Changed
from caracal_site.errors import InvalidBody, Issue
from caracal_site.ids import new_id
from caracal_site.jobs import Outcome, in_batches
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
    # The evidence tells what the answer will.
    context.expect_status(200 if known else 201)
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


def age_services() -> Outcome:
    """Writes down that services past their lease are unhealthy."""
    return in_batches("agents/registry/age", {})


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
