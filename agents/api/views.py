"""Agents, their services and invocations on the Management API: to look at."""

from __future__ import annotations

from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.request import Request

from agents.filters import AgentSessionFilter, InvocationFilter, ServiceFilter
from agents.models import AgentService, AgentSession, Invocation
from caracal_site.api.evidence import DEFAULT_LIMIT, MAX_LIMIT, page_shape, rows_of
from caracal_site.api.pagination import Listing
from caracal_site.api.schema import described
from caracal_site.api.views import ZoneScopedViewSet

SERVICE = (
    "id",
    "zone_id",
    "application_id",
    "endpoint_url",
    "protocol_versions",
    "framework_name",
    "framework_version",
    "capabilities",
    "health",
    "metadata_json",
    "active_invocations",
    "last_heartbeat_at",
    "lease_expires_at",
    "deregistered_at",
    "created_at",
)
# Without params, metadata and errors, which belong to the parties of the call.
INVOCATION = (
    "id",
    "zone_id",
    "service_id",
    "source_session_id",
    "target_session_id",
    "method",
    "status",
    "attempts",
    "max_attempts",
    "timeout_ms",
    "deadline_at",
    "started_at",
    "completed_at",
    "created_at",
)

# Ids ascend with creation; the tables are too busy for an index on the time.
# Contract: audit-and-events.md 2.6.
AGENT = (
    "id",
    "application_id",
    "parent_id",
    "status",
    "lifecycle",
    "labels",
    "depth",
    "child_count",
    "spawned_at",
    "last_active_at",
    "terminated_at",
    "termination_reason",
    "ttl_seconds",
)
AGENTS = Listing(
    name="agent-sessions",
    columns=AGENT,
    orders={"spawned_at": "id"},
    filterset=AgentSessionFilter,
    envelope=rows_of,
    default_limit=DEFAULT_LIMIT,
    max_limit=MAX_LIMIT,
)
SERVICES = Listing(
    name="agent-services",
    columns=SERVICE,
    orders={"created_at": "id"},
    filterset=ServiceFilter,
)
INVOCATIONS = Listing(
    name="invocations",
    columns=INVOCATION,
    orders={"created_at": "id"},
    filterset=InvocationFilter,
)


class ServiceShape(serializers.ModelSerializer):
    """A callable endpoint of an application."""

    class Meta:
        model = AgentService
        fields = SERVICE
        extra_kwargs = {"active_invocations": {"min_value": 0}}


class InvocationShape(serializers.ModelSerializer):
    """A call, without its contents."""

    class Meta:
        model = Invocation
        fields = INVOCATION
        extra_kwargs = {
            name: {"min_value": 0}
            for name in ("attempts", "max_attempts", "timeout_ms")
        }


class AgentShape(serializers.ModelSerializer):
    """An agent session: a place in the tree of agents."""

    class Meta:
        model = AgentSession
        fields = AGENT
        extra_kwargs = {
            name: {"min_value": 0} for name in ("depth", "child_count", "ttl_seconds")
        }


class AgentSessionsViewSet(ZoneScopedViewSet):
    """The agents of a zone, newest first."""

    model = "agents.agentsession"

    @described(
        "List agent sessions",
        answer=page_shape("AgentSessions", AgentShape()),
        listing=AGENTS,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str) -> HttpResponseBase:
        return self.listed(AgentSession.objects.in_zone(zone_id), AGENTS)


class ServicesViewSet(ZoneScopedViewSet):
    """The agent services of a zone."""

    model = "agents.agentservice"

    @described(
        "List agent services",
        answer=ServiceShape,
        listing=SERVICES,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str) -> HttpResponseBase:
        return self.listed(AgentService.objects.filter(zone_id=zone_id), SERVICES)


class InvocationsViewSet(ZoneScopedViewSet):
    """The invocations of a zone."""

    model = "agents.invocation"

    @described(
        "List invocations",
        answer=InvocationShape,
        listing=INVOCATIONS,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str) -> HttpResponseBase:
        return self.listed(Invocation.objects.filter(zone_id=zone_id), INVOCATIONS)
