"""Agent sessions in the console."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from agents.admin.gestures import Resume, Suspend, Terminate, link_of
from agents.admin.surroundings import (
    SHOWN,
    Surroundings,
    delegation_picture,
    surroundings,
    tree_picture,
)
from agents.models import AgentSession, Capacity
from caracal_site.console import columns, display, overview
from caracal_site.console.actors import console_actor
from caracal_site.console.base import EvidenceAdmin
from caracal_site.console.filters import StateFilter, ZoneFilter, linked
from caracal_site.console.overview import Figure
from caracal_site.console.panels import Cell, Facts, Panel, Pictures, Table
from caracal_site.errors import CaracalError
from delegations import queries
from delegations.models import DelegationEdge
from zones.models import Application, Zone

EDGE_HEADINGS = ("Delegation", "Agent", "Status", "Scopes", "Resource", "Expires")
NAMED_APPLICATIONS = 50


class LivenessFilter(StateFilter):
    """Live agents unless asked otherwise: those that ended are ever more."""

    field = "terminated_at"
    ended = "ended"

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        live, *others = super().lookups(request, model_admin)
        return [live, ("active", "Active"), ("suspended", "Suspended"), *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() in ("active", "suspended"):
            return queryset.filter(terminated_at=None, status=self.value())
        return super().queryset(request, queryset)


@admin.register(AgentSession)
class AgentSessionAdmin(EvidenceAdmin):
    """One run of an agent, with everything around it."""

    section, place = "Authority", 1
    entity_type = "agents"
    gestures = (Suspend(), Resume(), Terminate())
    list_select_related = ("zone", "application")
    list_display = (
        columns.short("id", "agent"),
        columns.related("application"),
        columns.badge("status"),
        "lifecycle",
        columns.words("labels"),
        columns.related("zone"),
        columns.moment("spawned_at"),
        columns.moment("last_active_at", "last active"),
        columns.left("heartbeat_deadline_at", "lease ends"),
    )
    list_filter = (
        LivenessFilter,
        "lifecycle",
        ZoneFilter,
        linked("application_id", "application"),
        linked("parent_id", "parent"),
    )
    search_fields = ("id",)
    search_help_text = (
        "The beginning of an id, a whole label, or an application's name."
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    columns.mono("id", "ID"),
                    columns.badge("status"),
                    "lifecycle",
                    columns.related("application"),
                    columns.related("zone"),
                    columns.words("labels"),
                    "authority",
                )
            },
        ),
        (
            "Details",
            {
                "fields": (
                    columns.linked("parent_id", "agents.AgentSession"),
                    "depth",
                    columns.column("child_count", str, label="live children"),
                    columns.linked("subject_session_id", "tokens.Session"),
                    columns.as_json("metadata_json"),
                )
            },
        ),
        (
            "Times",
            {
                "fields": (
                    columns.exact("spawned_at"),
                    columns.exact("last_active_at", "last active"),
                    columns.exact("expires_at"),
                    columns.exact("last_heartbeat_at"),
                    columns.left("heartbeat_deadline_at", "lease ends", exact=True),
                    columns.exact("terminated_at"),
                    columns.mono("termination_reason"),
                    columns.mono("suspend_reason"),
                )
            },
        ),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        named = Application.objects.filter(name__icontains=term).order_by("-id")
        ids = list(named.values_list("id", flat=True)[:NAMED_APPLICATIONS])
        # The second condition lets the partial index on labels be used.
        labelled = Q(labels__contains=[term]) & ~Q(labels=[])
        sought = Q(id__startswith=term) | labelled | Q(application_id__in=ids)
        return queryset.filter(sought), False

    def timeline_ids(self, obj: AgentSession) -> list[str]:
        edges = DelegationEdge.objects.filter(
            Q(source_session=obj) | Q(target_session=obj)
        )
        return [obj.pk, *edges.order_by("-id").values_list("id", flat=True)[:SHOWN]]

    def heading(self, obj: AgentSession) -> str:
        return f"{obj.application.name}, agent {obj.pk[-12:]}"

    def panels(self, request: HttpRequest, obj: AgentSession) -> Iterable[Panel]:
        around = surroundings(obj)
        yield Pictures(
            title="Around this agent",
            pictures=[
                ("Delegated authority", delegation_picture(around)),
                ("Agent tree", tree_picture(around)),
            ],
        )
        yield self._authority(request, obj)
        yield from _tables(around)
        yield self.story(obj)

    def _authority(self, request: HttpRequest, obj: AgentSession) -> Facts:
        actor = console_actor(request.user, zone_id=obj.zone_id)
        title = "Effective authority"
        try:
            held = queries.effective_authority(
                actor, zone_id=obj.zone_id, agent_id=obj.pk
            )
        except CaracalError as error:
            return Facts(title=title, facts=[], note=error.sentence)
        return Facts(title=title, facts=_facts(held), note=_meaning(held))

    @admin.display(description="authority")
    def authority(self, obj: AgentSession) -> SafeString:
        if obj.narrowed:
            return display.badge("only what is delegated to it", "calm")
        return display.badge("its application's own", "quiet")


def _facts(held: dict[str, Any]) -> list[tuple[str, Cell]]:
    hops, ttl = held["effective_max_hops"], held["effective_ttl_seconds"]
    return [
        ("Scopes", display.words(held["effective_scopes"])),
        ("Resources", display.words(held["effective_resources"])),
        ("May be passed on", display.counted(hops, "more time") if hops else "no"),
        ("For at most", display.span(ttl) if ttl else display.EMPTY),
        ("Ends", display.moment(_moment(held["earliest_expires_at"]))),
    ]


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _meaning(held: dict[str, Any]) -> str:
    if held["root"]:
        return (
            "No delegation narrows this agent: it acts on its application's own"
            " authority."
        )
    if not held["inbound_edges"]:
        return (
            "This agent was narrowed and no delegation to it is live: it may do"
            " nothing."
        )
    return "What all live delegations to this agent have in common."


def _tables(around: Surroundings) -> Iterable[Table]:
    edges = reverse("admin:delegations_delegationedge_changelist")
    agents = reverse("admin:agents_agentsession_changelist")
    pk = around.agent.pk
    yield Table(
        title="Delegated to it",
        headings=EDGE_HEADINGS,
        rows=[_edge(edge, edge.source_session) for edge in around.inbound[:SHOWN]],
        empty="Nobody delegated to this agent.",
        more=_more(around.inbound, f"{edges}?target={pk}"),
    )
    yield Table(
        title="Delegated by it",
        headings=EDGE_HEADINGS,
        rows=[_edge(edge, edge.target_session) for edge in around.outbound[:SHOWN]],
        empty="This agent delegated nothing.",
        more=_more(around.outbound, f"{edges}?source={pk}"),
    )
    yield Table(
        title="Children",
        headings=("Agent", "Status", "Lifecycle", "Labels", "Spawned"),
        rows=[
            (
                link_of(child),
                display.badge(child.status),
                child.lifecycle,
                display.words(child.labels),
                display.moment(child.spawned_at),
            )
            for child in around.children[:SHOWN]
        ],
        empty="This agent spawned nobody.",
        more=_more(around.children, f"{agents}?state=all&parent={pk}"),
    )


def _edge(edge: DelegationEdge, other: AgentSession) -> tuple[Cell, ...]:
    return (
        display.object_link(edge),
        link_of(other),
        display.badge(edge.status),
        display.words(edge.scopes),
        display.object_link(edge.resource),
        display.moment(edge.expires_at),
    )


def _more(rows: Sequence[Any], url: str) -> Cell:
    return display.link(url, "All of them") if len(rows) > SHOWN else ""


@overview.figure(2, permission="agents.view_agentsession")
def live_agents() -> Figure:
    slots = Capacity.objects.filter(scope_id__in=Zone.objects.live().values("id"))
    number = sum(slots.values_list("live", flat=True))
    url = reverse("admin:agents_agentsession_changelist")
    return Figure("Live agents", f"{number:,}", url=url)
