"""The audit trail in the console."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import OuterRef, QuerySet, Subquery, TextField
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from audit.admin.files import TIMES, FileAdmin
from audit.events import Event
from audit.models import AdminAuditEvent
from caracal_site import errors
from caracal_site.console import columns, display, timeline
from caracal_site.console.filters import ZoneFilter, linked
from caracal_site.console.site import entity_url
from zones.models import AdminToken, Application, Provider, Resource, Zone

REFUSED = 400
REFUSED_WORD = "Refused: "


def with_zone_name(rows: QuerySet[Any], column: str = "zone_id") -> QuerySet[Any]:
    """Adds ``zone_name`` to rows that only hold the id of their zone."""
    zone = Zone.objects.filter(pk=OuterRef(column))
    named: QuerySet[Any] = rows.annotate(zone_name=Subquery(zone.values("name")[:1]))
    return named


def with_names(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Adds ``entity_name`` and ``acting_name``: what people call the thing an audit
    row is about, and the application that acted."""
    named = (Zone, Application, Provider, Resource, AdminToken)
    names = [
        Subquery(model.objects.filter(pk=OuterRef("entity_id")).values("name")[:1])
        for model in named
    ]
    acting = Application.objects.filter(pk=OuterRef("actor_name")).values("name")[:1]
    labelled: QuerySet[Any] = rows.annotate(
        entity_name=Coalesce(*names, output_field=TextField()),
        acting_name=Subquery(acting),
    )
    return labelled


class AuditReader:
    """The timeline of the console, from the admin audit trail."""

    def about(self, entity_ids: Sequence[str]) -> QuerySet[Any]:
        rows = AdminAuditEvent.objects.filter(entity_id__in=list(entity_ids))
        return with_names(rows).order_by("-position")

    def latest(self, count: int) -> Sequence[AdminAuditEvent]:
        return list(with_names(AdminAuditEvent.objects.order_by("-id"))[:count])

    def entry(self, row: Any) -> timeline.Entry:
        return timeline.Entry(
            at=row.occurred_at,
            sentence=sentence_of(row),
            actor=actor_of(row),
            reason=str((row.payload_json or {}).get("reason") or ""),
            refused=row.status_code >= REFUSED,
            url=display.change_url(AdminAuditEvent, row.pk),
            about=entity_of(row) if has_entity(row) else "",
        )


timeline.read_by(AuditReader())


def _kinds(kind: type[Event]) -> Iterator[type[Event]]:
    for below in kind.__subclasses__():
        yield below
        yield from _kinds(below)


def sentence_of(row: AdminAuditEvent) -> str:
    """What happened, as its event says it; else the request as it was made."""
    payload = row.payload_json or {}
    if row.status_code >= REFUSED:
        code = str(payload.get("error") or row.status_code)
        return f"{REFUSED_WORD}{_refusals().get(code, code)}"
    return _happenings().get(str(payload.get("event")), row.action)


@cache
def _happenings() -> dict[str, str]:
    """The sentence of every event by its name."""
    return {kind.name: kind.sentence for kind in _kinds(Event) if hasattr(kind, "name")}


@cache
def _refusals() -> dict[str, str]:
    """The sentence of every error by its code."""
    return {code: sentence for code, _, sentence in errors.catalogue()}


def actor_of(row: Any) -> str:
    return str(row.acting_name or row.actor_name or row.actor_id or "nobody known")


def has_entity(row: AdminAuditEvent) -> bool:
    """Whether the row is about a thing, not just about a request."""
    return bool(row.entity_id) and row.entity_type != "requests"


def entity_of(row: Any) -> SafeString:
    """What the row is about, by name where it has one, as a link to its page."""
    if not has_entity(row):
        return display.EMPTY
    kind = (row.entity_type or "").replace("-", " ").removesuffix("s")
    label = row.entity_name or display.short(row.entity_id)
    url = entity_url(row.entity_type or "", row.entity_id)
    shown = display.link(url, label) if url else label
    return display.labelled(kind, shown)


def zone_of(row: Any) -> SafeString:
    if not row.zone_id:
        return display.badge("platform")
    return display.link_to(Zone, row.zone_id, row.zone_name or "")


class OutcomeFilter(SimpleListFilter):
    title = "outcome"
    parameter_name = "outcome"

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        return [("done", "Done"), ("refused", "Refused")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "done":
                return queryset.filter(status_code__lt=REFUSED)
            case "refused":
                return queryset.filter(status_code__gte=REFUSED)
        return queryset


@admin.register(AdminAuditEvent)
class AdminAuditEventAdmin(FileAdmin):
    """Who changed or tried what."""

    route = "audit:admin-audit"
    alike = {
        "since": "since",
        "until": "until",
        "request": "request_id",
        "thing": "entity_id",
        "actor": "actor_id",
    }
    section, place = "Evidence", 1
    label = "Audit trail"
    list_display = (
        columns.exact("occurred_at", "when (UTC)"),
        "what",
        "about",
        "by",
        "zone",
        "why",
    )
    list_filter = (
        OutcomeFilter,
        *TIMES,
        ZoneFilter,
        linked("request_id", "request"),
        linked("entity_id", "thing"),
        linked("actor_id", "actor"),
    )
    search_fields = ("=request_id", "=entity_id")
    search_help_text = (
        "A whole request id, the whole id of the thing it is about, or words of the"
        " reason."
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    columns.exact("occurred_at", "when (UTC)"),
                    "what",
                    "about",
                    "who",
                    "zone",
                    "why",
                    "outcome",
                )
            },
        ),
        (
            "Request",
            {
                "fields": (
                    columns.mono("action"),
                    "same_request",
                    columns.as_json("payload_json", "details"),
                )
            },
        ),
        (
            "Chain",
            {
                "fields": (
                    "sealed",
                    columns.mono("content_sha256", "content SHA-256"),
                    columns.mono("prev_content_sha256", "previous content SHA-256"),
                    columns.mono("chain_hmac", "chain HMAC"),
                    columns.mono("id", "ID"),
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return with_names(with_zone_name(super().get_queryset(request)))

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip().replace("\0", "")
        return (queryset.telling(text) if text else queryset), False

    def heading(self, obj: AdminAuditEvent) -> str:
        return sentence_of(obj)

    @admin.display(description="what")
    def what(self, obj: AdminAuditEvent) -> SafeString | str:
        sentence = sentence_of(obj)
        if obj.status_code < REFUSED:
            return sentence
        refused = display.badge("refused", "bad")
        return format_html("{} {}", refused, sentence.removeprefix(REFUSED_WORD))

    @admin.display(description="about")
    def about(self, obj: AdminAuditEvent) -> SafeString:
        return entity_of(obj)

    @admin.display(description="zone")
    def zone(self, obj: Any) -> SafeString:
        return zone_of(obj)

    @admin.display(description="why")
    def why(self, obj: AdminAuditEvent) -> str | SafeString:
        return (obj.payload_json or {}).get("reason") or display.EMPTY

    @admin.display(description="who")
    def by(self, obj: Any) -> str:
        return actor_of(obj)

    @admin.display(description="who")
    def who(self, obj: AdminAuditEvent) -> SafeString:
        url = reverse("admin:audit_adminauditevent_changelist")
        name = f"{actor_of(obj)} ({obj.actor_id}, {obj.actor_scope})"
        return display.link(f"{url}?actor={obj.actor_id}", name)

    @admin.display(description="outcome")
    def outcome(self, obj: AdminAuditEvent) -> SafeString:
        if obj.status_code >= REFUSED:
            return display.badge(f"refused {obj.status_code}", "bad")
        return display.badge("done", "good")

    @admin.display(description="request id")
    def same_request(self, obj: AdminAuditEvent) -> SafeString:
        url = reverse("admin:audit_adminauditevent_changelist")
        return display.link(
            f"{url}?request={obj.request_id}", display.mono(obj.request_id)
        )

    @admin.display(description="sealed")
    def sealed(self, obj: AdminAuditEvent) -> SafeString:
        if obj.chain_seq is None:
            return display.badge("not yet", "calm")
        return display.badge(f"number {obj.chain_seq:,} of its chain", "good")
