"""The audit trail and the ledger of decisions in the console."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db import connection
from django.db.models import OuterRef, QuerySet, Subquery, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from audit.events import Event
from audit.explaining import final_decision, in_words
from audit.models import AdminAuditEvent, AuditEvent
from caracal_site import errors
from caracal_site.console import columns, display, timeline
from caracal_site.console.base import EvidenceAdmin
from caracal_site.console.filters import LinkedFilter, ZoneFilter, linked
from caracal_site.console.panels import Facts, Panel, Table
from caracal_site.console.site import entity_url
from caracal_site.logs import redact
from caracal_site.times import from_wire, to_wire
from zones.models import AdminToken, Application, Provider, Resource, Zone

REFUSED = 400
SHOWN_ROWS = 100
REFUSED_WORD = "Refused: "


def with_zone_name(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Adds ``zone_name`` to rows that only hold the id of their zone."""
    zone = Zone.objects.filter(pk=OuterRef("zone_id"))
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


class WhenFilter(SimpleListFilter):
    """The last hour, day, week or month."""

    title = "when"
    parameter_name = "when"
    SPANS = {"hour": 1, "day": 24, "week": 7 * 24, "month": 30 * 24}

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        return [(name, f"The last {name}") for name in self.SPANS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        hours = self.SPANS.get(self.value() or "")
        if hours is None:
            return queryset
        return queryset.filter(occurred_at__gte=timezone.now() - timedelta(hours=hours))


class MomentLimit(SimpleListFilter):
    """One end of a time range, given in the address; shown while it is in force."""

    lookup = ""

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        value = self.value()
        return [(value, value)] if value else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        try:
            limit = from_wire(str(self.value()))
        except ValueError:
            return queryset.none()
        return queryset.filter(**{f"occurred_at__{self.lookup}": limit})


class SinceFilter(MomentLimit):
    title = parameter_name = "since"
    lookup = "gte"


class UntilFilter(MomentLimit):
    title = parameter_name = "until"
    lookup = "lt"


TIMES = (WhenFilter, SinceFilter, UntilFilter)


class FileAdmin(EvidenceAdmin):
    """Evidence that leaves as a file, zone by zone, as it is filtered."""

    route: ClassVar[str] = ""
    # The names of the console's filters and of the API's.
    alike: ClassVar[dict[str, str]] = {}

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        files = {"files": list(self.files(request))}
        return super().changelist_view(request, {**files, **(extra_context or {})})

    def files(self, request: HttpRequest) -> Iterator[tuple[str, str]]:
        """Names and addresses of the files of what the list shows."""
        zone_id = request.GET.get("zone")
        if not zone_id:
            return
        asked = {
            name: request.GET[own]
            for own, name in self.alike.items()
            if request.GET.get(own)
        }
        hours = WhenFilter.SPANS.get(request.GET.get("when", ""))
        if hours is not None:
            since = timezone.now() - timedelta(hours=hours)
            asked["since"] = to_wire(since) or ""
        path = reverse(self.route, args=[zone_id])
        for form in ("csv", "ndjson"):
            yield (
                f"Export {form.upper()}",
                f"{path}?{urlencode({**asked, 'format': form})}",
            )


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
    label, one = "Audit trail", "audit entry"
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
    label, one = "Decisions", "decision"
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
