"""Begin and end agent sessions by the flat ``/v1`` calls (coordinator.md 8)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from django.http import HttpResponse
from msgspec import UNSET, Meta, UnsetType

from agents import services
from agents.coordinator import SPAWN_REFUSALS, Id, Label, Reason, SpawnedAgent
from caracal_site.coordinator.bodies import or_none
from caracal_site.coordinator.flat import PathId, ZoneId, flat_route, path_id, zone_of
from caracal_site.coordinator.keyed import once
from caracal_site.coordinator.routes import Call, Route


class FlatSpawn(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What both ways to begin an agent session take."""

    zone_id: ZoneId
    application_id: Id
    subject_session_id: Id
    lifecycle: Literal["task", "service"] = "task"
    labels: Annotated[list[Label], Meta(max_length=32)] = []
    ttl_seconds: Annotated[int, Meta(ge=1, le=86_400)] | UnsetType = UNSET
    inherit_parent_edge_id: Id | UnsetType = UNSET
    metadata: dict[str, Any] = {}


class BeginBody(FlatSpawn, forbid_unknown_fields=True, kw_only=True):
    """A new agent session, as a rule without a parent."""

    parent_id: Id | None = None


class SpawnChildBody(FlatSpawn, forbid_unknown_fields=True, kw_only=True):
    """A new agent session below another one."""

    parent_agent_session_id: Id


class EndBody(msgspec.Struct, forbid_unknown_fields=True):
    """The agent session to end, and why."""

    zone_id: ZoneId
    agent_session_id: PathId
    reason: Reason = "requested"


async def begin(call: Call) -> HttpResponse:
    return await _spawned(call, call.body.parent_id)


async def spawn_child(call: Call) -> HttpResponse:
    return await _spawned(call, call.body.parent_agent_session_id)


async def _spawned(call: Call, parent_id: str | None) -> HttpResponse:
    zone_id, body = zone_of(call), call.body
    request = services.SpawnRequest(
        application_id=body.application_id,
        subject_session_id=body.subject_session_id,
        parent_id=parent_id,
        lifecycle=body.lifecycle,
        labels=tuple(label.strip() for label in body.labels),
        ttl_seconds=or_none(body.ttl_seconds),
        inherit_parent_edge_id=or_none(body.inherit_parent_edge_id),
        metadata=body.metadata,
    )
    return await once(
        call,
        lambda: services.spawn_agent(
            call.actor, zone_id=zone_id, request=request
        ).as_json(),
    )


async def end(call: Call) -> HttpResponse:
    zone_id, body = zone_of(call), call.body
    agent_id = path_id(body.agent_session_id)

    def perform() -> None:
        services.terminate_agent(
            call.actor, zone_id=zone_id, agent_id=agent_id, reason=body.reason
        )

    return await once(call, perform)


routes: list[Route] = [
    flat_route(
        "/v1/begin",
        "agents:begin",
        begin,
        "Begin an agent session.",
        body=BeginBody,
        status=201,
        answer=SpawnedAgent,
        errors=SPAWN_REFUSALS,
    ),
    flat_route(
        "/v1/spawn-child",
        "agents:spawn-child",
        spawn_child,
        "Begin an agent session below another one.",
        body=SpawnChildBody,
        status=201,
        answer=SpawnedAgent,
        errors=SPAWN_REFUSALS,
    ),
    flat_route(
        "/v1/end",
        "agents:end",
        end,
        "End an agent session with its subtree, edges and open invocations.",
        body=EndBody,
        status=204,
        errors=(
            "invalid_params",
            "agent_not_found",
            "application_ownership_required",
            "outside_agent_subtree",
        ),
    ),
]
