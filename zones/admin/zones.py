"""Zones in the console."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from caracal_site.actors import Actor
from caracal_site.console import columns, display, overview
from caracal_site.console.base import DomainAdmin
from caracal_site.console.disclosure import Disclosure
from caracal_site.console.filters import StateFilter
from caracal_site.console.forms import ConsoleForm
from caracal_site.console.gestures import Done, Gesture, Impact
from caracal_site.console.overview import Figure
from caracal_site.console.panels import Cell, Facts, Links, Panel
from delegations.models import DelegationEdge
from tokens import services as tokens
from zones import rules, services
from zones.admin import usage
from zones.admin.scoped import counted, live_agents
from zones.models import Application, Provider, Resource, Zone
from zones.overview import overview_of

SHUTDOWNS = [
    ("", "refuse while there are any"),
    ("keep_live", "let them live until they expire"),
    ("revoke_live", "end them, their sessions and their agents now"),
]


class ZoneForm(ConsoleForm):
    name = forms.CharField(max_length=120)
    slug = forms.RegexField(
        rules.SLUG,
        max_length=rules.MAX_SLUG,
        required=False,
        help_text="Lower-case letters, digits, hyphens; made from the name if empty.",
        error_messages={"invalid": "Expected lower-case letters, digits, hyphens."},
    )
    dcr_shutdown = forms.ChoiceField(
        choices=SHUTDOWNS,
        required=False,
        label="Self-registered applications",
        help_text="What switching self-registration off does to those that are live.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "slug" in self.fields and not self.instance._state.adding:
            self.fields["slug"].required = True


class ArchiveZone(Gesture):
    name = "archive"
    button = "Archive"
    question = "Archive this zone?"
    explanation = (
        "Everything that acts in the zone ends at once: agents, their delegated"
        " authority and every session. So does everything that stands in it:"
        " applications, resources, providers and its admin tokens. This cannot be"
        " undone; the slug becomes free."
    )

    def offered_for(self, row: Zone) -> bool:
        return row.archived_at is None

    def preview(self, rows: Sequence[Zone]) -> Impact:
        zone = rows[0]
        ended = services.foresee_zone(zone_id=zone.id)
        return usage.impact(zone, ended, phrase=zone.slug)

    def perform(
        self, actor: Actor, rows: Sequence[Zone], answers: dict[str, Any]
    ) -> Done:
        services.archive_zone(rows[0].id, actor=actor, reason=answers["reason"])
        return Done(f"{rows[0]} is archived.")


class RotateSigningKey(Gesture):
    name = "rotate-signing-key"
    button = "Rotate signing key"
    question = "Publish the zone's next signing key?"
    explanation = (
        "The next key is published now and signs in ten minutes, when every verifier"
        " knows it. Tokens signed by the present key stay valid."
    )
    is_harmful = False

    def offered_for(self, row: Zone) -> bool:
        return row.archived_at is None

    def preview(self, rows: Sequence[Zone]) -> Impact:
        return Impact()

    def perform(
        self, actor: Actor, rows: Sequence[Zone], answers: dict[str, Any]
    ) -> Done:
        key = tokens.rotate_signing_key(
            rows[0].id, actor=actor, reason=answers["reason"]
        )
        return Done(f"Version {key.version} is published and signs in ten minutes.")


@admin.register(Zone)
class ZoneAdmin(DomainAdmin):
    form = ZoneForm
    section, place = "Tenants", 1
    entity_type = "zones"
    gestures = (RotateSigningKey(), ArchiveZone())
    list_display = (
        "name",
        columns.mono("slug"),
        "state",
        "applications",
        "resources",
        "live_agents",
        "active_edges",
        columns.moment("created_at"),
    )
    list_filter = (StateFilter, "dcr_enabled")
    search_fields = ("name", "slug", "=id")
    readonly_fields = (
        columns.mono("id", "ID"),
        columns.exact("created_at"),
        columns.exact("updated_at"),
        columns.exact("archived_at"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return (
            super()
            .get_queryset(request)
            .annotate(
                application_count=counted(Application.objects.live(), "zone"),
                resource_count=counted(Resource.objects.live(), "zone"),
                agent_count=live_agents(),
                edge_count=counted(
                    DelegationEdge.objects.filter(status="active"), "zone"
                ),
            )
        )

    def get_fieldsets(self, request: HttpRequest, obj: Zone | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["name", "slug", "dcr_enabled"]})]
        policy = ["operator_governed", "operator_coauthor_badge"]
        return [
            (None, {"fields": ["name", "slug"]}),
            ("Self-registration", {"fields": ["dcr_enabled", "dcr_shutdown"]}),
            ("Operators", {"fields": policy}),
            ("Record", {"classes": ["record"], "fields": list(self.readonly_fields)}),
        ]

    def panels(self, request: HttpRequest, obj: Zone) -> Iterable[Panel]:
        yield Links(title="In this zone", links=_contents(obj))
        if obj.archived_at is None:
            yield Facts(title="At a glance", facts=_glance(overview_of(obj.pk)))

    def create(
        self, actor: Actor, form: ConsoleForm
    ) -> tuple[Model, Disclosure | None]:
        given = form.cleaned_data
        zone = services.create_zone(
            given["name"],
            actor=actor,
            slug=given["slug"] or None,
            dcr_enabled=given["dcr_enabled"],
        )
        return zone, None

    def change(self, actor: Actor, obj: Zone, form: ConsoleForm) -> Model:
        changes: Any = form.changes()
        shutdown = changes.pop("dcr_shutdown", None) or None
        return services.change_zone(
            obj.pk, actor=actor, changes=changes, dcr_shutdown=shutdown
        )

    @admin.display(description="state")
    def state(self, obj: Zone) -> SafeString:
        return display.badge("archived" if obj.archived_at else "live")

    @admin.display(description="applications", ordering="application_count")
    def applications(self, obj: Any) -> SafeString:
        return _count(obj, "zones_application", obj.application_count)

    @admin.display(description="resources", ordering="resource_count")
    def resources(self, obj: Any) -> SafeString:
        return _count(obj, "zones_resource", obj.resource_count)

    @admin.display(description="live agents", ordering="agent_count")
    def live_agents(self, obj: Any) -> SafeString:
        return _count(obj, "agents_agentsession", obj.agent_count)

    @admin.display(description="active delegations", ordering="edge_count")
    def active_edges(self, obj: Any) -> SafeString:
        return _count(obj, "delegations_delegationedge", obj.edge_count)


def _count(zone: Zone, model: str, number: int) -> SafeString:
    return display.link(_url(zone, model), f"{number:,}")


def _url(zone: Zone, model: str) -> str:
    return f"{reverse(f'admin:{model}_changelist')}?zone={zone.pk}"


def _contents(zone: Any) -> list[tuple[str, str, str]]:
    providers = Provider.objects.in_zone(zone.id).live().count()
    return [
        (
            "applications",
            f"{zone.application_count:,}",
            _url(zone, "zones_application"),
        ),
        ("providers", f"{providers:,}", _url(zone, "zones_provider")),
        ("resources", f"{zone.resource_count:,}", _url(zone, "zones_resource")),
        ("policies", "", _url(zone, "policies_policy")),
        ("policy sets", "", _url(zone, "policies_policyset")),
        ("grants", "", _url(zone, "policies_grant")),
        ("connected accounts", "", _url(zone, "policies_providergrant")),
        ("live agents", f"{zone.agent_count:,}", _url(zone, "agents_agentsession")),
        (
            "active delegations",
            f"{zone.edge_count:,}",
            _url(zone, "delegations_delegationedge"),
        ),
        ("authority sessions", "", _url(zone, "tokens_session")),
        ("signing keys", "", _url(zone, "tokens_signingkey")),
        ("audit trail", "", _url(zone, "audit_adminauditevent")),
        ("events", "", _url(zone, "audit_outboxevent")),
    ]


def _glance(seen: dict[str, Any]) -> list[tuple[str, Cell]]:
    applications, decisions = seen["applications"], seen["decisions_24h"]
    return [
        ("Policies in force", _in_force(seen["policy_sets"]["active_name"])),
        ("Expired applications", f"{applications['expired']:,}"),
        ("Expiring in a week", f"{applications['expiring_soon']:,}"),
        ("Unenforced resources", f"{seen['resources']['unenforced']:,}"),
        ("Sessions in force", f"{seen['sessions']['active']:,}"),
        ("Allowed in 24 hours", f"{decisions['allowed']:,}"),
        ("Denied in 24 hours", f"{decisions['denied']:,}"),
    ]


def _in_force(policy_set: str | None) -> Cell:
    return policy_set or display.badge("none: nothing is allowed", "warn")


@overview.figure(1, permission="zones.view_zone")
def live_zones() -> Figure:
    return Figure(
        "Zones",
        f"{Zone.objects.listed().count():,}",
        display.counted(Application.objects.live().count(), "application"),
        reverse("admin:zones_zone_changelist"),
    )
