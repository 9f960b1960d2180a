"""The ledger of decisions in the console, with what became of each in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db import connection
from django.db.models import QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.safestring import SafeString

from audit.admin.files import TIMES, FileAdmin
from audit.admin.trail import with_zone_name, zone_of
from audit.explaining import final_decision, in_words
from audit.models import AuditEvent
from caracal_site.console import columns, display
from caracal_site.console.filters import LinkedFilter, ZoneFilter, linked
from caracal_site.console.panels import Facts, Panel, Table
from caracal_site.logs import redact

SHOWN_ROWS = 100


def told(key: str, title: str) -> type[LinkedFilter]:
    """The LinkedFilter of a text of the metadata, compared as its index has it."""

    class Told(LinkedFilter):
        def queryset(
            self, request: HttpRequest, queryset: QuerySet[Any]
        ) -> QuerySet[Any]:
            if not self.value():
                return queryset
            text = KeyTextTransform(key, "metadata_json")
            found: QuerySet[Any] = queryset.alias(told=text)
            return found.filter(told=self.value())

    named = {"title": title, "parameter_name": title}
    return type(f"{title.title()}Told", (Told,), named)


class LabelFilter(LinkedFilter):
    title = parameter_name = "label"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        return queryset.filter(metadata_json__agent_labels__contains=[self.value()])


class DecisionFilter(SimpleListFilter):
    title = "decision"
    parameter_name = "decision"

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        return [("allow", "Allow"), ("deny", "Deny"), ("partial", "Partial")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(decision=self.value()) if self.value() else queryset


@admin.register(AuditEvent)
class AuditEventAdmin(FileAdmin):
    """What was allowed or denied, and why."""

    route = "audit:audit-events"
    alike = {
        "since": "since",
        "until": "until",
        "decision": "decision",
        "request": "request_id",
        "event": "event_type",
        "application": "application_id",
        "agent": "agent_session_id",
        "label": "label",
    }
    section, place = "Evidence", 2
    list_display = (
        columns.exact("occurred_at", "when (UTC)"),
        columns.mono("event_type", "event"),
        columns.badge("decision"),
        "zone",
        columns.mono("evaluation_status", "evaluation"),
        columns.short("request_id", "request"),
    )
    list_filter = (
        DecisionFilter,
        *TIMES,
        ZoneFilter,
        linked("request_id", "request"),
        linked("event_type", "event"),
        told("application_id", "application"),
        told("agent_session_id", "agent"),
        LabelFilter,
    )
    search_fields = ("=request_id", "=id")
    search_help_text = "A whole request id, or the whole id of the decision."
    fields = (
        columns.exact("occurred_at", "when (UTC)"),
        columns.mono("event_type", "event"),
        columns.badge("decision"),
        "zone",
        columns.mono("request_id", "request id"),
        columns.mono("evaluation_status", "evaluation"),
        columns.mono("policy_set_id", "policy set"),
        columns.mono("policy_set_version_id", "policy set version"),
        columns.mono("manifest_sha", "manifest SHA-256"),
        columns.as_json("determining_policies_json"),
        columns.as_json("diagnostics_json"),
        columns.column(
            "metadata_json", lambda told: display.as_json(redact(told)), order=""
        ),
        columns.mono("id", "ID"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return with_zone_name(super().get_queryset(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """One index or the other: asked for both at once, the ledger is read."""
        text = search_term.strip().replace("\0", "")
        if not text:
            return queryset, False
        is_id = AuditEvent.objects.filter(id=text).exists()
        return queryset.filter(**{"id" if is_id else "request_id": text}), False

    def panels(self, request: HttpRequest, obj: AuditEvent) -> Iterator[Panel]:
        """What became of the request, in words, and the row's place in the ledger."""
        rows: list[Any] = [obj]
        if obj.request_id:
            same = AuditEvent.objects.filter(
                zone_id=obj.zone_id, request_id=obj.request_id
            )
            rows = list(same.order_by("occurred_at", "id")[:SHOWN_ROWS])
        yield Table(
            title=f"Explanation: {final_decision([vars(row) for row in rows])}",
            headings=("When (UTC)", "Decision", "What and why"),
            rows=[
                (
                    display.moment(row.occurred_at, exact=True),
                    display.badge(str(row.decision)),
                    display.link_to(AuditEvent, row.id, in_words(vars(row))),
                )
                for row in rows
            ],
            more=self._explained(obj),
        )
        seq = place_of(obj.id)
        state = f"number {seq:,} of its ledger" if seq else "not yet"
        yield Facts(
            title="Ledger",
            facts=[("Sealed", display.badge(state, "good" if seq else "calm"))],
            note=display.link_to("audit.AuditChain", obj.zone_id, "The whole ledger"),
        )

    def _explained(self, obj: AuditEvent) -> SafeString | str:
        if not obj.request_id:
            return ""
        try:
            url = reverse("audit:explained-request", args=[obj.zone_id, obj.request_id])
        except NoReverseMatch:
            return ""
        return display.link(url, "Everything recorded, for a simulation")

    @admin.display(description="zone")
    def zone(self, obj: Any) -> SafeString:
        return zone_of(obj)


def place_of(event_id: str) -> int | None:
    """The number of a decision in the ledger of its zone; None before it is sealed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT seq FROM audit_links WHERE event_id = %s", [event_id])
        row = cursor.fetchone()
    return row[0] if row else None
