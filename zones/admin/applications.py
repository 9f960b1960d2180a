"""Applications in the console."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from caracal_site.actors import Actor
from caracal_site.console import columns, display
from caracal_site.console.disclosure import Disclosure, OnceField
from caracal_site.console.filters import StateFilter, ZoneFilter
from caracal_site.console.forms import ConsoleForm, LinesField
from caracal_site.console.gestures import (
    Done,
    Gesture,
    GestureForm,
    Impact,
)
from caracal_site.console.panels import Links, Panel
from zones import services
from zones.admin import usage
from zones.admin.scoped import ScopedAdmin, ScopedForm, live_agents
from zones.models import Application

OVERLAPS = [
    ("", "as long as is usual"),
    (0, "stops working now"),
    (300, "five more minutes"),
    (3_600, "another hour"),
    (86_400, "another day"),
    (604_800, "another week"),
]
ADVICE = (
    "Give it to the application as its client secret. The application proves with it"
    " who it is when it asks for tokens."
)


class ApplicationForm(ScopedForm):
    once = OnceField()
    name = forms.CharField(max_length=200)
    traits = LinesField(
        required=False,
        max_length=128,
        help_text="One a line. Traits beginning with control: or coordinator: give"
        " authority.",
    )


class RotationForm(GestureForm):
    """Also how long the present secret is good, and whether it has leaked."""

    overlap_seconds = forms.TypedChoiceField(
        choices=OVERLAPS,
        coerce=int,
        empty_value=None,
        required=False,
        label="Present secret",
        help_text="How long it works besides the new one.",
    )
    ends_live = forms.BooleanField(
        required=False,
        label="It has leaked",
        help_text="End the application's sessions and agents, and what they delegated;"
        " as usual, the present secret then stops working now.",
    )


class RotateSecret(Gesture):
    name = "rotate-secret"
    button = "Rotate client secret"
    question = "Make a new client secret?"
    explanation = (
        "The application gets a new secret, which is shown once on the next page. The"
        " present one stays valid for a while, so that there is time to replace it; one"
        " before that stops working now."
    )
    is_harmful = False
    reveals = True
    form_class = RotationForm

    def offered_for(self, row: Application) -> bool:
        ended = row.expires_at is not None and row.expires_at <= timezone.now()
        return row.archived_at is None and not ended

    def preview(self, rows: Sequence[Application]) -> Impact:
        row = rows[0]
        ended = services.foresee_applications(
            zone_id=row.zone_id, application_ids=[row.id]
        )
        agents = display.counted(len(ended.agents), "agent")
        told = f"{agents} and {display.counted(len(ended.sessions), 'session')}"
        return Impact(notes=[f"If the secret has leaked, {told} would end."])

    def perform(
        self, actor: Actor, rows: Sequence[Application], answers: dict[str, Any]
    ) -> Done:
        application = rows[0]
        issued = services.rotate_client_secret(
            application.id,
            zone_id=application.zone_id,
            actor=actor,
            reason=answers["reason"],
            overlap_seconds=answers["overlap_seconds"],
            ends_live=answers["ends_live"],
        )
        until = issued.application.previous_secret_expires_at
        spare = (
            f" The previous secret works until {display.utc(until)}."
            if until
            else " The previous secret works no more."
        )
        return Done("The secret is replaced.", _disclosed(issued, ADVICE + spare))


class ArchiveApplication(Gesture):
    name = "archive"
    button = "Archive"
    question = "Archive this application?"
    explanation = (
        "Its agents and sessions end at once, with all authority delegated through"
        " them, and its secret stops working. This cannot be undone."
    )

    def offered_for(self, row: Application) -> bool:
        return row.archived_at is None

    def preview(self, rows: Sequence[Application]) -> Impact:
        row = rows[0]
        ended = services.foresee_applications(
            zone_id=row.zone_id, application_ids=[row.id]
        )
        return usage.impact(row, ended)

    def perform(
        self, actor: Actor, rows: Sequence[Application], answers: dict[str, Any]
    ) -> Done:
        services.archive_application(
            rows[0].id, zone_id=rows[0].zone_id, actor=actor, reason=answers["reason"]
        )
        return Done(f"{rows[0]} is archived.")


@admin.register(Application)
class ApplicationAdmin(ScopedAdmin):
    form = ApplicationForm
    section, place = "Tenants", 2
    entity_type = "applications"
    secret_fields = ("secret_digest", "previous_secret_digest")
    reveals = True
    gestures = (RotateSecret(), ArchiveApplication())
    list_display = (
        "name",
        columns.related("zone"),
        columns.column(
            "get_registration_method_display",
            lambda get: get(),
            label="kind",
            order="registration_method",
        ),
        "state",
        columns.words("traits"),
        "agents",
        columns.moment("secret_rotated_at", "secret changed"),
        columns.moment("expires_at", "expires"),
        columns.moment("created_at"),
    )
    list_filter = (StateFilter, "registration_method", ZoneFilter)
    search_fields = ("name", "=id")
    readonly_fields = (
        columns.mono("id", "ID"),
        columns.related("zone"),
        "registration_method",
        columns.exact("secret_rotated_at", "secret changed"),
        columns.exact("previous_secret_expires_at", "previous secret valid until"),
        columns.exact("expires_at", "expires"),
        columns.exact("created_at"),
        columns.exact("updated_at"),
        columns.exact("archived_at"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).annotate(agent_count=live_agents())

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["zone", "once", "name", "traits"]})]
        return [
            (None, {"fields": ["name", "traits"]}),
            ("Record", {"classes": ["record"], "fields": list(self.readonly_fields)}),
        ]

    def panels(self, request: HttpRequest, obj: Any) -> Iterable[Panel]:
        agents = reverse("admin:agents_agentsession_changelist")
        sessions = reverse("admin:tokens_session_changelist")
        yield Links(
            title="This application's",
            links=[
                (
                    "live agents",
                    f"{obj.agent_count:,}",
                    f"{agents}?application={obj.pk}",
                ),
                ("authority sessions", "", f"{sessions}?application={obj.pk}"),
            ],
        )
        yield usage.panel(obj)

    def create(
        self, actor: Actor, form: ConsoleForm
    ) -> tuple[Model, Disclosure | None]:
        given = form.cleaned_data
        issued = services.create_application(
            given["name"],
            zone_id=given["zone"].pk,
            actor=actor,
            traits=given["traits"],
        )
        return issued.application, _disclosed(issued, ADVICE)

    def change(self, actor: Actor, obj: Any, form: ConsoleForm) -> Model:
        changes: Any = form.changes()
        return services.change_application(
            obj.pk, zone_id=obj.zone_id, actor=actor, changes=changes
        )

    @admin.display(description="state")
    def state(self, obj: Application) -> SafeString:
        if obj.archived_at:
            return display.badge("archived")
        if obj.expires_at and obj.expires_at <= timezone.now():
            return display.badge("expired")
        return display.badge("live")

    @admin.display(description="live agents", ordering="agent_count")
    def agents(self, obj: Any) -> SafeString:
        url = reverse("admin:agents_agentsession_changelist")
        return display.link(f"{url}?application={obj.pk}", f"{obj.agent_count:,}")


def _disclosed(issued: services.IssuedApplication, advice: str) -> Disclosure:
    row = issued.application
    return Disclosure(
        what="Client secret",
        whose=f"{row.name} ({row.pk})",
        secret=issued.client_secret,
        advice=advice,
        url=display.change_url(Application, row.pk),
    )
