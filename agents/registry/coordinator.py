"""The coordinator's routes of agent services (coordinator.md 5)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from django.http import HttpResponse
from msgspec import UNSET, Meta, UnsetType

from agents.registry import queries, services
from agents.registry.queries import ServicesQuery
from agents.registry.shapes import Service, ServicePage
from caracal_site.coordinator.answers import answer, nothing
from caracal_site.coordinator.bodies import or_none
from caracal_site.coordinator.keyed import Otherwise, once
from caracal_site.coordinator.routes import Call, Route
from caracal_site.coordinator.threads import in_db

Id = Annotated[str, Meta(min_length=1, max_length=128)]
Name = Annotated[str, Meta(min_length=1, max_length=255)]
Names = Annotated[list[Name], Meta(max_length=64)]


class Framework(msgspec.Struct, forbid_unknown_fields=True):
    """What the service is made with."""

    name: Name
    version: Name | UnsetType = UNSET


class RegisterBody(msgspec.Struct, forbid_unknown_fields=True):
    """An endpoint that an application offers."""

    application_id: Id
    endpoint_url: Annotated[str, Meta(min_length=1, max_length=2000)]
    protocol_versions: Names = []
    framework: Framework | UnsetType = UNSET
    capabilities: Names = []
    metadata: dict[str, Any] = {}


class DeregisterQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why the service ends."""

    reason: Annotated[
        str, Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]*\Z")
    ] = "requested"


async def register(call: Call) -> HttpResponse:
    body: RegisterBody = call.body
    framework = or_none(body.framework)
    request = services.ServiceRequest(
        application_id=body.application_id,
        endpoint_url=body.endpoint_url,
        protocol_versions=tuple(body.protocol_versions),
        framework_name=framework.name if framework else None,
        framework_version=or_none(framework.version) if framework else None,
        capabilities=tuple(body.capabilities),
        metadata=body.metadata,
    )

    def perform() -> Otherwise:
        registered = services.register_service(
            call.actor, zone_id=call.zone_id, request=request
        )
        status = 201 if registered.is_new else 200
        return Otherwise(status, registered.service.encode())

    return await once(call, perform)


async def list_services(call: Call) -> HttpResponse:
    return answer(
        await in_db(
            queries.list_services, call.actor, zone_id=call.zone_id, query=call.query
        )
    )


async def get_service(call: Call) -> HttpResponse:
    return answer(
        await in_db(
            queries.get_service,
            call.actor,
            zone_id=call.zone_id,
            service_id=call.params["id"],
        )
    )


async def deregister(call: Call) -> HttpResponse:
    await in_db(
        services.deregister_service,
        call.actor,
        zone_id=call.zone_id,
        service_id=call.params["id"],
        reason=call.query.reason,
    )
    return nothing()


SERVICES = "/zones/{zone_id}/agent-services"
routes = [
    Route(
        "GET",
        SERVICES,
        "agents:service-list",
        list_services,
        "List agent services, newest first.",
        query=ServicesQuery,
        answer=ServicePage,
        operator=True,
        tags=("services",),
    ),
    Route(
        "POST",
        SERVICES,
        "agents:service-register",
        register,
        "Register an endpoint; 200 when it was registered already, and said anew.",
        body=RegisterBody,
        status=201,
        also=200,
        answer=Service,
        errors=(
            "application_ownership_required",
            "outside_agent_subtree",
            "application_not_found",
        ),
        tags=("services",),
    ),
    Route(
        "GET",
        SERVICES + "/{id}",
        "agents:service-detail",
        get_service,
        "Get one agent service.",
        answer=Service,
        operator=True,
        errors=("agent_service_not_found",),
        tags=("services",),
    ),
    Route(
        "DELETE",
        SERVICES + "/{id}",
        "agents:service-deregister",
        deregister,
        "Deregister an agent service and cancel its open invocations.",
        query=DeregisterQuery,
        status=204,
        operator=True,
        errors=(
            "agent_service_not_found",
            "application_ownership_required",
            "outside_agent_subtree",
        ),
        tags=("services",),
    ),
]
