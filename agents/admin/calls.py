"""Agent services and invocations in the console."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from agents.invocations import machine
from agents.invocations import services as invocations
from agents.models import AgentService, Invocation
from agents.registry import services as registry
from caracal_site.actors import Actor
from caracal_site.console import columns, display
from caracal_site.console.base import EvidenceAdmin
from caracal_site.console.filters import StateFilter, ZoneFilter, linked
from caracal_site.console.gestures import Affected, Done, Gesture, Impact, examples


class RegisteredFilter(StateFilter):
    """Registered services unless asked otherwise."""

    field = "deregistered_at"
    ended = "deregistered"


class OpenFilter(admin.SimpleListFilter):
    """Calls that wait or run."""

    title = "state"
    parameter_name = "state"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin
    ) -> list[tuple[str, str]]:
        return [("open", "Open"), ("closed", "Closed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() is None:
            return queryset
        return queryset.filter(due_at__isnull=self.value() == "closed")


HEALTH = columns.column("standing", display.badge, label="health", order="health")


class Deregister(Gesture):
    name = "deregister"
    button = "Deregister"
    question = "Deregister this service?"
    explanation = (
        "The service can be called no more, and its open invocations are canceled."
        " Its application may register the endpoint again, as another service."
    )
    is_bulk = True

    def offered_for(self, row: AgentService) -> bool:
        return row.deregistered_at is None

    def preview(self, rows: Sequence[AgentService]) -> Impact:
        ids = [row.id for row in rows]
        calls = registry.preview_deregistration(service_ids=ids).invocations
        return Impact(
            [
                Affected(
                    "Services deregistered",
                    len(ids),
                    examples(AgentService, ids),
                ),
                Affected(
                    "Invocations canceled", len(calls), examples(Invocation, calls)
                ),
            ]
        )

    @transaction.atomic
    def perform(
        self, actor: Actor, rows: Sequence[AgentService], answers: dict[str, Any]
    ) -> Done:
        for row in rows:
            registry.deregister_service(
                replace(actor, zone_id=row.zone_id),
                zone_id=row.zone_id,
                service_id=row.id,
                reason=answers["reason"],
            )
        return Done(f"{display.counted(len(rows), 'service')} deregistered.")


class Cancel(Gesture):
    name = "cancel"
    button = "Cancel invocation"
    dismiss = "Go back"
    question = "Cancel this invocation?"
    explanation = (
        "An invocation that waits is canceled at once. Whoever works on one that runs"
        " is asked to stop; the platform ends it when that takes too long."
    )
    is_bulk = True

    def offered_for(self, row: Invocation) -> bool:
        return machine.move("cancel", row.status) is not None

    def preview(self, rows: Sequence[Invocation]) -> Impact:
        waiting = [row.id for row in rows if row.status == "pending"]
        running = [row.id for row in rows if row.status != "pending"]
        return Impact(
            [
                Affected(
                    "Invocations canceled", len(waiting), examples(Invocation, waiting)
                ),
                Affected(
                    "Invocations asked to stop",
                    len(running),
                    examples(Invocation, running),
                ),
            ]
        )

    @transaction.atomic
    def perform(
        self, actor: Actor, rows: Sequence[Invocation], answers: dict[str, Any]
    ) -> Done:
        for row in rows:
            invocations.cancel_invocation(
                replace(actor, zone_id=row.zone_id),
                zone_id=row.zone_id,
                invocation_id=row.id,
                reason=answers["reason"],
            )
        ended = display.counted(len(rows), "invocation")
        return Done(f"{ended} canceled or asked to stop.")


@admin.register(AgentService)
class AgentServiceAdmin(EvidenceAdmin):
    """Endpoints that can be called."""

    section, place = "Authority", 5
    entity_type = "agent-services"
    gestures = (Deregister(),)
    list_select_related = ("zone", "application")
    list_display = (
        columns.mono("endpoint_url", "endpoint"),
        HEALTH,
        columns.left("lease_expires_at", "lease ends"),
        columns.column("active_invocations", str, label="calls"),
        columns.related("application"),
        columns.related("zone"),
        columns.words("capabilities"),
        columns.moment("created_at"),
    )
    list_filter = (
        RegisteredFilter,
        "health",
        ZoneFilter,
        linked("application_id", "application"),
    )
    search_fields = ("endpoint_url", "=id")
    fields = (
        columns.mono("id", "ID"),
        columns.mono("endpoint_url", "endpoint"),
        HEALTH,
        columns.related("application"),
        columns.related("zone"),
        columns.words("capabilities"),
        columns.words("protocol_versions"),
        columns.mono("framework_name"),
        columns.mono("framework_version"),
        columns.as_json("metadata_json"),
        "active_invocations",
        columns.exact("last_heartbeat_at"),
        columns.left("lease_expires_at", "lease ends", exact=True),
        columns.exact("created_at"),
        columns.exact("updated_at"),
        columns.exact("deregistered_at"),
        columns.mono("deregistration_reason"),
    )


@admin.register(Invocation)
class InvocationAdmin(EvidenceAdmin):
    """Calls of services; what was passed is not shown."""

    section, place = "Authority", 6
    entity_type = "invocations"
    gestures = (Cancel(),)
    secret_fields = ("params_json",)
    list_select_related = ("zone", "service")
    list_display = (
        columns.short("id", "invocation"),
        columns.badge("status"),
        columns.left("due_at", "due"),
        columns.mono("method"),
        columns.related("service"),
        columns.linked("source_session_id", "agents.AgentSession", "from"),
        columns.linked("target_session_id", "agents.AgentSession", "to"),
        "attempts",
        columns.related("zone"),
        columns.moment("created_at"),
    )
    list_filter = (
        OpenFilter,
        "status",
        ZoneFilter,
        linked("service_id", "service"),
        linked("source_session_id", "from"),
        linked("target_session_id", "to"),
    )
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
        columns.mono("cancel_reason"),
        columns.exact("created_at"),
        columns.exact("started_at"),
        columns.exact("deadline_at"),
        columns.left("due_at", "due", exact=True),
        columns.exact("not_before_at", "next attempt not before"),
        columns.exact("cancel_requested_at"),
        columns.exact("completed_at"),
    )
