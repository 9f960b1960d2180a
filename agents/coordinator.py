"""The coordinator's routes of agents."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from django.http import HttpResponse
from msgspec import UNSET, Meta, UnsetType

from agents import queries, services
from agents.queries import AgentsQuery
from caracal_site.coordinator.answers import answer, nothing
from caracal_site.coordinator.bodies import or_none
from caracal_site.coordinator.keyed import once
from caracal_site.coordinator.listing import PageQuery
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


async def terminate(call: Call) -> HttpResponse:
    await in_db(
        services.terminate_agent,
        call.actor,
        zone_id=call.zone_id,
        agent_id=call.params["id"],
        reason=call.query.reason,
    )
    return nothing()


async def list_services(call: Call) -> HttpResponse:
    return answer(
        await in_db(
            queries.list_services, call.actor, zone_id=call.zone_id, query=call.query
        )
    )


async def list_invocations(call: Call) -> HttpResponse:
    return answer(
        await in_db(
            queries.list_invocations, call.actor, zone_id=call.zone_id, query=call.query
        )
    )


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
    Route(
        "GET",
        "/zones/{zone_id}/agent-services",
        "agents:service-list",
        list_services,
        "List agent services, newest first.",
        query=PageQuery,
        operator=True,
        tags=("services",),
    ),
    Route(
        "GET",
        "/zones/{zone_id}/invocations",
        "agents:invocation-list",
        list_invocations,
        "List invocations, newest first.",
        query=PageQuery,
        operator=True,
        tags=("invocations",),
    ),
]
