"""Authority sessions in the console."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib import admin
from django.http import HttpRequest

from agents.models import AgentSession
from caracal_site.console import columns, display
from caracal_site.console.base import EvidenceAdmin
from caracal_site.console.filters import ZoneFilter, linked
from caracal_site.console.panels import Panel, Table
from tokens.models import Session

SHOWN_AGENTS = 50


@admin.register(Session)
class SessionAdmin(EvidenceAdmin):
    """What tokens stand for. Tokens themselves are not kept anywhere."""

    section, place = "Authority", 3
    entity_type = "sessions"
    list_select_related = ("zone", "client")
    list_display = (
        columns.short("id", "session"),
        columns.badge("status"),
        "session_type",
        columns.related("client", "application"),
        columns.mono("subject_id", "subject"),
        columns.related("zone"),
        columns.moment("created_at"),
        columns.moment("expires_at"),
    )
    list_filter = (
        "status",
        "session_type",
        ZoneFilter,
        linked("client_id", "application"),
    )
    search_fields = ("id__startswith", "subject_id__startswith")
    search_help_text = "The beginning of a session's id, or of its subject."
    fieldsets = (
        (
            None,
            {
                "fields": (
                    columns.mono("id", "ID"),
                    columns.badge("status"),
                    "session_type",
                    columns.mono("subject_id", "subject"),
                    columns.related("client", "application"),
                    columns.related("zone"),
                    columns.column("scope", lambda value: display.words(value.split())),
                )
            },
        ),
        (
            "Lineage",
            {
                "fields": (
                    columns.linked("parent_id", "tokens.Session"),
                    columns.linked("agent_session_id", "agents.AgentSession"),
                    columns.linked("delegation_edge_id", "delegations.DelegationEdge"),
                    columns.mono("jti", "token id"),
                )
            },
        ),
        (
            "Times",
            {
                "fields": (
                    columns.exact("authenticated_at"),
                    columns.exact("created_at"),
                    columns.exact("expires_at"),
                    columns.exact("revoked_at"),
                    "revoked_reason",
                )
            },
        ),
    )

    def panels(self, request: HttpRequest, obj: Session) -> Iterable[Panel]:
        agents = AgentSession.objects.in_zone(obj.zone_id).filter(subject_session=obj)
        rows = agents.select_related("application").order_by("-id")[:SHOWN_AGENTS]
        yield Table(
            title="Agents that act on this session",
            headings=("Agent", "Application", "Status", "Spawned"),
            rows=[
                (
                    display.object_link(row),
                    display.object_link(row.application),
                    display.badge(row.status),
                    display.moment(row.spawned_at),
                )
                for row in rows
            ],
        )
