"""The coordinator's routes of agents."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from django.http import HttpResponse
from msgspec import UNSET, Meta, UnsetType

from agents import errors, queries, services
from agents.queries import AgentsQuery
from agents.registry.shapes import Health, Service
from caracal_site.coordinator.answers import answer, nothing
from caracal_site.coordinator.bodies import or_none
from caracal_site.coordinator.keyed import Otherwise, once
from caracal_site.coordinator.routes import Call, Route
from caracal_site.coordinator.threads import in_db

Id = Annotated[str, Meta(min_length=1, max_length=128)]
# 1 to 64 characters once the blanks around them are cut.
Label = Annotated[str, Meta(pattern=r"^\s*\S(?:[\s\S]{0,62}\S)?\s*\Z", max_length=256)]

# One line of text: it is signed as such in the streams.
Reason = Annotated[
    str, Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]*\Z")
]


class SpawnBody(msgspec.Struct, forbid_unknown_fields=True):
    """A new agent session. ``kind`` and ``session_sid`` are what old clients send
    besides; they are not looked at."""

    application_id: Id
    subject_session_id: Id | UnsetType = UNSET
    parent_id: Id | None = None
    lifecycle: Literal["task", "service"] = "task"
    labels: Annotated[list[Label], Meta(max_length=32)] = []
    ttl_seconds: Annotated[int, Meta(ge=1, le=86_400)] | UnsetType = UNSET
    inherit_parent_edge_id: Id | UnsetType = UNSET
    metadata: dict[str, Any] = {}
    kind: Any = None
    session_sid: Any = None


class TerminateQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why the agent ends."""

    reason: Reason = "requested"


class HeartbeatBody(msgspec.Struct, forbid_unknown_fields=True):
    """A sign of life. With ``generation``, the number an earlier heartbeat answered,
    only if that lease still holds. The rest is about the service record
    ``service_id``; a member of ``metadata`` that is null is dropped there."""

    generation: Annotated[int, Meta(ge=1, le=2**31 - 1)] | UnsetType = UNSET
    service_id: Id | UnsetType = UNSET
    status: Health = "healthy"
    active_invocations: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    metadata: dict[str, Any] = {}


class LeasedAgent(msgspec.Struct):
    """What a heartbeat did to the agent. A task has no lease."""

    id: str
    zone_id: str
    application_id: str
    status: Literal["active", "suspended"]
    generation: int | None
    last_active_at: str
    last_heartbeat_at: str
    heartbeat_deadline_at: str | None


class Heartbeat(msgspec.Struct):
    agent: LeasedAgent
    service: Service | None
    active_invocations: int


class Agent(msgspec.Struct):
    """An agent session."""

    agent_session_id: str
    zone_id: str
    application_id: str
    parent_id: str | None
    subject_session_id: str
    lifecycle: Literal["task", "service"]
    labels: list[str]
    status: Literal["active", "suspended", "terminated", "expired"]
    depth: int
    ttl_seconds: int | None
    metadata: dict[str, Any]
    spawned_at: str
    last_heartbeat_at: str | None
    heartbeat_deadline_at: str | None


class SpawnedAgent(Agent):
    """A new agent session, and the edge that narrows it, if any."""

    delegation_edge_id: str | None


class AgentDetail(Agent):
    """An agent session and how it ended."""

    terminated_at: str | None
    termination_reason: str | None


class AgentPage(msgspec.Struct):
    items: list[AgentDetail]
    next_cursor: str | None


class ChildPage(msgspec.Struct):
    items: list[Agent]
    next_cursor: str | None


class Suspended(msgspec.Struct):
    suspended: int


class Resumed(msgspec.Struct):
    resumed: int


async def spawn(call: Call) -> HttpResponse:
    body: SpawnBody = call.body
    request = services.SpawnRequest(
        application_id=body.application_id,
        subject_session_id=or_none(body.subject_session_id),
        parent_id=body.parent_id,
        lifecycle=body.lifecycle,
        labels=tuple(label.strip() for label in body.labels),
        ttl_seconds=or_none(body.ttl_seconds),
        inherit_parent_edge_id=or_none(body.inherit_parent_edge_id),
        metadata=body.metadata,
    )
    return await once(
        call,
        lambda: services.spawn_agent(
            call.actor, zone_id=call.zone_id, request=request
        ).as_json(),
    )


async def list_agents(call: Call) -> HttpResponse:
    return answer(
        await in_db(
            queries.list_agents, call.actor, zone_id=call.zone_id, query=call.query
        )
    )


async def get_agent(call: Call) -> HttpResponse:
    return answer(
        await in_db(
            queries.get_agent,
            call.actor,
            zone_id=call.zone_id,
            agent_id=call.params["id"],
        )
    )


async def list_children(call: Call) -> HttpResponse:
    return answer(
        await in_db(
            queries.list_children,
            call.actor,
            zone_id=call.zone_id,
            parent_id=call.params["id"],
            query=call.query,
        )
    )


async def suspend(call: Call) -> HttpResponse:
    changed = await in_db(
        services.suspend_agent,
        call.actor,
        zone_id=call.zone_id,
        agent_id=call.params["id"],
        reason="requested",
    )
    return answer({"suspended": changed})


async def resume(call: Call) -> HttpResponse:
    changed = await in_db(
        services.resume_agent,
        call.actor,
        zone_id=call.zone_id,
        agent_id=call.params["id"],
        reason="requested",
    )
    return answer({"resumed": changed})


async def heartbeat(call: Call) -> HttpResponse:
    body: HeartbeatBody = call.body
    report = services.Report(
        generation=or_none(body.generation),
        service_id=or_none(body.service_id),
        status=body.status,
        active_invocations=body.active_invocations,
        metadata=body.metadata,
    )

    def perform() -> Otherwise:
        answered = services.heartbeat(
            call.actor,
            zone_id=call.zone_id,
            agent_id=call.params["id"],
            report=report,
        )
        return Otherwise(200, answered)

    try:
        return await once(call, perform)
    except errors.LeaseExpired:
        # In a transaction of its own: the refusal undoes that of a keyed request.
        await in_db(services.suspend_lapsed, call.zone_id, call.params["id"])
        raise


async def terminate(call: Call) -> HttpResponse:
    await in_db(
        services.terminate_agent,
        call.actor,
        zone_id=call.zone_id,
        agent_id=call.params["id"],
        reason=call.query.reason,
    )
    return nothing()


AGENTS = "/zones/{zone_id}/agents"
SPAWN_REFUSALS = (
    "subject_session_id_required",
    "application_ownership_required",
    "outside_agent_subtree",
    "parent_ownership_required",
    "delegation_exceeds_parent_authority",
    "application_not_found",
    "parent_not_found",
    "session_not_found",
    "agent_children_limit_exceeded",
    "agent_depth_limit_exceeded",
    "agent_limit_exceeded",
    "agent_zone_limit_exceeded",
    "dcr_application_already_bound",
    "dcr_application_cannot_be_child",
    "dcr_application_cannot_host_service",
    "dcr_application_cannot_spawn",
    "inherit_parent_edge_not_active",
    "parent_delegation_ambiguous",
    "task_agent_cannot_spawn_service",
)
routes = [
    Route(
        "POST",
        AGENTS,
        "agents:agent-spawn",
        spawn,
        "Spawn an agent session.",
        body=SpawnBody,
        status=201,
        answer=SpawnedAgent,
        errors=SPAWN_REFUSALS,
        tags=("agents",),
    ),
    Route(
        "GET",
        AGENTS,
        "agents:agent-list",
        list_agents,
        "List agent sessions, newest first.",
        query=AgentsQuery,
        answer=AgentPage,
        operator=True,
        tags=("agents",),
    ),
    Route(
        "GET",
        AGENTS + "/{id}",
        "agents:agent-detail",
        get_agent,
        "Get one agent session.",
        answer=AgentDetail,
        operator=True,
        errors=("agent_not_found",),
        tags=("agents",),
    ),
    Route(
        "DELETE",
        AGENTS + "/{id}",
        "agents:agent-terminate",
        terminate,
        "End an agent session with its subtree, edges and open invocations.",
        query=TerminateQuery,
        status=204,
        operator=True,
        errors=(
            "agent_not_found",
            "application_ownership_required",
            "outside_agent_subtree",
        ),
        tags=("agents",),
    ),
    Route(
        "GET",
        AGENTS + "/{id}/children",
        "agents:agent-children",
        list_children,
        "List the direct children of an agent session.",
        query=AgentsQuery,
        answer=ChildPage,
        operator=True,
        tags=("agents",),
    ),
    Route(
        "POST",
        AGENTS + "/{id}/heartbeat",
        "agents:agent-heartbeat",
        heartbeat,
        "Renew an agent's lease, and report on its service.",
        body=HeartbeatBody,
        answer=Heartbeat,
        errors=(
            "agent_not_found",
            "application_ownership_required",
            "outside_agent_subtree",
            "agent_not_live",
            "agent_lease_expired",
            "agent_lease_superseded",
            "agent_service_not_found",
        ),
        tags=("agents",),
    ),
    Route(
        "PATCH",
        AGENTS + "/{id}/suspend",
        "agents:agent-suspend",
        suspend,
        "Suspend an agent session and the active ones below it.",
        answer=Suspended,
        operator=True,
        errors=(
            "agent_not_found",
            "application_ownership_required",
            "outside_agent_subtree",
            "agent_not_found_or_not_active",
        ),
        tags=("agents",),
    ),
    Route(
        "PATCH",
        AGENTS + "/{id}/resume",
        "agents:agent-resume",
        resume,
        "Resume a suspended agent session and the suspended ones below it.",
        answer=Resumed,
        operator=True,
        errors=(
            "agent_not_found",
            "application_ownership_required",
            "outside_agent_subtree",
            "agent_ancestor_not_active",
            "agent_not_found_or_not_suspended",
        ),
        tags=("agents",),
    ),
]
