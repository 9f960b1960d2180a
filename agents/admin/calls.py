"""Agent services and invocations in the console."""

from __future__ import annotations

from django.contrib import admin

from agents.models import AgentService, Invocation
from caracal_site.console import columns
from caracal_site.console.base import EvidenceAdmin
from caracal_site.console.filters import ZoneFilter, linked


@admin.register(AgentService)
class AgentServiceAdmin(EvidenceAdmin):
    """Endpoints that can be called."""

    section, place = "Authority", 5
    entity_type = "agent-services"
    list_select_related = ("zone", "application")
    list_display = (
        columns.mono("endpoint_url", "endpoint"),
        columns.badge("health"),
        columns.related("application"),
        columns.words("capabilities"),
        columns.related("zone"),
        columns.moment("last_heartbeat_at"),
        columns.moment("created_at"),
    )
    list_filter = ("health", ZoneFilter, linked("application_id", "application"))
    search_fields = ("endpoint_url", "=id")
    fields = (
        columns.mono("id", "ID"),
        columns.mono("endpoint_url", "endpoint"),
        columns.badge("health"),
        columns.related("application"),
        columns.related("zone"),
        columns.words("capabilities"),
        columns.words("protocol_versions"),
        columns.mono("framework_name"),
        columns.mono("framework_version"),
        columns.as_json("metadata_json"),
        columns.exact("last_heartbeat_at"),
        columns.exact("created_at"),
        columns.exact("updated_at"),
    )


@admin.register(Invocation)
class InvocationAdmin(EvidenceAdmin):
    """Calls of services; what was passed is not shown."""

    section, place = "Authority", 6
    entity_type = "invocations"
    secret_fields = ("params_json",)
    list_select_related = ("zone", "service")
    list_display = (
        columns.short("id", "invocation"),
        columns.badge("status"),
        columns.mono("method"),
        columns.related("service"),
        columns.linked("source_session_id", "agents.AgentSession", "from"),
        columns.linked("target_session_id", "agents.AgentSession", "to"),
        "attempts",
        columns.related("zone"),
        columns.moment("created_at"),
    )
    list_filter = ("status", ZoneFilter, linked("service_id", "service"))
    search_fields = ("=id", "=idempotency_key")
    search_help_text = "A whole id, or a whole idempotency key."
    fields = (
        columns.mono("id", "ID"),
        columns.badge("status"),
        columns.mono("method"),
        columns.related("service"),
        columns.linked("source_session_id", "agents.AgentSession", "from"),
        columns.linked("target_session_id", "agents.AgentSession", "to"),
        columns.related("zone"),
        columns.mono("idempotency_key"),
        "attempts",
        "max_attempts",
        columns.as_json("error_json"),
        columns.exact("created_at"),
        columns.exact("started_at"),
        columns.exact("deadline_at"),
        columns.exact("cancel_requested_at"),
        columns.exact("completed_at"),
    )
