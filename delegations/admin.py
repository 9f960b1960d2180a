"""Delegation edges in the console."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from agents.models import AgentSession
from caracal_site.actors import Actor
from caracal_site.console import columns, display, overview
from caracal_site.console.base import EvidenceAdmin
from caracal_site.console.filters import ZoneFilter, linked
from caracal_site.console.gestures import Affected, Done, Gesture, Impact, examples
from caracal_site.console.overview import Figure
from caracal_site.console.panels import Cell, Facts, Panel, Table
from delegations import services
from delegations.errors import DelegationNotFound
from delegations.models import DelegationEdge, EdgeStatus
from delegations.services.ending import foresee

SHOWN = 12
SHOWN_BELOW = 50


def link_of(agent: AgentSession) -> Cell:
    """A link to an agent by its application's name."""
    label = display.with_id(agent.application.name, agent.pk)
    return display.object_link(agent, label)


def named_agents(ids: Sequence[str]) -> list[Cell]:
    rows = AgentSession.objects.select_related("application").in_bulk(ids[:SHOWN])
    return [link_of(rows[id_]) for id_ in ids[:SHOWN] if id_ in rows]


def is_active(edge: DelegationEdge) -> bool:
    return edge.status == EdgeStatus.ACTIVE and edge.expires_at > timezone.now()


def impact_of(edges: Sequence[DelegationEdge]) -> list[Affected]:
    """What revoking these together would end, as the services foresee it."""
    chosen: dict[str, list[str]] = {}
    for edge in edges:
        chosen.setdefault(edge.zone_id, []).append(edge.id)
    falls = [foresee(zone_id, edge_ids=ids) for zone_id, ids in chosen.items()]
    gone = [id_ for fall in falls for id_ in fall.edges]
    agents = [id_ for fall in falls for id_ in fall.agents]
    calls = [id_ for fall in falls for id_ in fall.invocations]
    return [
        Affected("Delegations revoked", len(gone), examples(DelegationEdge, gone)),
        Affected("Agents that end", len(agents), named_agents(agents)),
        Affected("Invocations canceled", len(calls)),
    ]


class Revoke(Gesture):
    name = "revoke"
    button = "Revoke"
    question = "Revoke this delegation?"
    explanation = (
        "The delegation ends at once, with everything that rests on it: delegations"
        " made below it and agents that nothing else justifies. This cannot be undone."
    )
    is_bulk = True

    def offered_for(self, row: DelegationEdge) -> bool:
        return is_active(row)

    def preview(self, rows: Sequence[DelegationEdge]) -> Impact:
        return Impact(impact_of(rows))

    @transaction.atomic
    def perform(
        self, actor: Actor, rows: Sequence[DelegationEdge], answers: dict[str, Any]
    ) -> Done:
        edges, agents = 0, 0
        for row in rows:
            try:
                fall = services.revoke_delegation(
                    replace(actor, zone_id=row.zone_id),
                    zone_id=row.zone_id,
                    edge_id=row.id,
                    reason=answers["reason"],
                ).fall
            except DelegationNotFound:
                if len(rows) == 1:
                    raise
                continue  # It fell with another one of those chosen.
            edges += len(fall.edges)
            agents += len(fall.agents)
        revoked = display.counted(edges, "delegation")
        return Done(f"{revoked} revoked, {display.counted(agents, 'agent')} ended.")


@admin.register(DelegationEdge)
class DelegationEdgeAdmin(EvidenceAdmin):
    """Authority passed from one agent to another."""

    section, place = "Authority", 2
    entity_type = "delegations"
    gestures = (Revoke(),)
    list_select_related = (
        "zone",
        "resource",
        "source_session__application",
        "target_session__application",
    )
    list_display = (
        columns.short("id", "delegation"),
        "source",
        "target",
        columns.badge("status"),
        columns.words("scopes"),
        columns.related("resource"),
        columns.related("zone"),
        columns.moment("expires_at"),
    )
    list_filter = (
        "status",
        ZoneFilter,
        linked("source_session_id", "source"),
        linked("target_session_id", "target"),
        linked("resource_id", "resource"),
    )
    search_fields = (
        "id__startswith",
        "source_session__id__startswith",
        "target_session__id__startswith",
    )
    search_help_text = (
        "The beginning of the id of a delegation or of one of its agents."
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    columns.mono("id", "ID"),
                    columns.badge("status"),
                    "source",
                    "target",
                    columns.words("scopes"),
                    columns.related("resource"),
                    columns.as_json("constraints_json"),
                    columns.related("zone"),
                )
            },
        ),
        (
            "Lineage",
            {
                "fields": (
                    columns.linked("parent_edge_id", "delegations.DelegationEdge"),
                    columns.linked("root_edge_id", "delegations.DelegationEdge"),
                    "depth",
                    "max_hops",
                    columns.related("issuer_application", "issuer"),
                    columns.related("receiver_application", "receiver"),
                )
            },
        ),
        (
            "Times",
            {
                "fields": (
                    columns.exact("created_at"),
                    columns.exact("expires_at"),
                    columns.exact("revoked_at"),
                    columns.mono("revoked_reason"),
                )
            },
        ),
    )

    def heading(self, obj: DelegationEdge) -> str:
        giver, taker = obj.source_session, obj.target_session
        return f"{giver.application.name} to {taker.application.name}"

    def panels(self, request: HttpRequest, obj: DelegationEdge) -> Iterable[Panel]:
        if is_active(obj):
            yield Facts(
                title="If it were revoked now",
                facts=[
                    (part.what, display.told(part.count, part.examples))
                    for part in impact_of([obj])
                ],
            )
        edges = DelegationEdge.objects.select_related(*self.list_select_related)
        lineage = list(edges.filter(pk__in=_above(obj)).order_by("depth"))
        yield Table(
            title="Lineage, from the root down",
            headings=("Delegation", "From", "To", "Status", "Scopes", "Expires"),
            rows=[_row(edge, here=obj.pk) for edge in lineage],
        )
        below = edges.filter(parent_edge=obj).order_by("status", "-id")[:SHOWN_BELOW]
        yield Table(
            title="Delegations made directly below it",
            headings=("Delegation", "From", "To", "Status", "Scopes", "Expires"),
            rows=[_row(edge, here=obj.pk) for edge in below],
        )
        yield self.story(obj)

    @admin.display(description="from")
    def source(self, obj: DelegationEdge) -> Cell:
        return link_of(obj.source_session)

    @admin.display(description="to")
    def target(self, obj: DelegationEdge) -> Cell:
        return link_of(obj.target_session)


def _above(edge: DelegationEdge) -> list[str]:
    """The edges this one rests on, itself included; as many as its depth."""
    found, parent = [edge.pk], edge.parent_edge_id
    while parent is not None and len(found) <= edge.depth:
        found.append(parent)
        rows = DelegationEdge.objects.filter(pk=parent)
        parent = rows.values_list("parent_edge_id", flat=True).first()
    return found


def _row(edge: DelegationEdge, *, here: str) -> tuple[Cell, ...]:
    name: Cell = display.object_link(edge)
    return (
        display.labelled("this one", display.short(edge.pk))
        if edge.pk == here
        else name,
        link_of(edge.source_session),
        link_of(edge.target_session),
        display.badge(edge.status),
        display.words(edge.scopes),
        display.moment(edge.expires_at),
    )


@overview.figure(3, permission="delegations.view_delegationedge")
def active_edges() -> Figure:
    number = DelegationEdge.objects.filter(status=EdgeStatus.ACTIVE).count()
    url = reverse("admin:delegations_delegationedge_changelist")
    return Figure(
        "Active delegations", f"{number:,}", url=f"{url}?status__exact=active"
    )
