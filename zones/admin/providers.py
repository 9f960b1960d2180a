"""Providers in the console."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from caracal_site.actors import Actor
from caracal_site.console import columns, display
from caracal_site.console.disclosure import Disclosure
from caracal_site.console.filters import StateFilter, ZoneFilter
from caracal_site.console.forms import ConsoleForm
from caracal_site.console.gestures import Done, Gesture, Impact
from caracal_site.console.panels import Panel, Table
from zones import rules, services
from zones.admin.scoped import ScopedAdmin, ScopedForm, counted
from zones.models import Provider, ProviderKind, Resource

SHOWN_RESOURCES = 50


class ProviderForm(ScopedForm):
    name = forms.CharField(max_length=200, required=False)
    identifier = forms.CharField(
        max_length=rules.MAX_PROVIDER_IDENTIFIER,
        required=False,
        help_text="provider://… Made from the name when empty.",
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        adding = self.instance._state.adding
        if adding and not (cleaned.get("name") or cleaned.get("identifier")):
            self.add_error("name", "A name or an identifier is needed.")
        return cleaned


class ArchiveProvider(Gesture):
    name = "archive"
    button = "Archive"
    question = "Archive this provider?"
    explanation = "It can no longer be chosen for resources. This cannot be undone."

    def offered_for(self, row: Provider) -> bool:
        return row.archived_at is None

    def preview(self, rows: Sequence[Provider]) -> Impact:
        using = Resource.objects.live().filter(credential_provider=rows[0])
        number = using.count()
        if not number:
            return Impact(notes=["No live resource uses it."])
        used = display.counted(number, "live resource uses it", "live resources use it")
        return Impact(notes=[f"{used}: give them another provider first."])

    def perform(
        self, actor: Actor, rows: Sequence[Provider], answers: dict[str, Any]
    ) -> Done:
        services.archive_provider(
            rows[0].id, zone_id=rows[0].zone_id, actor=actor, reason=answers["reason"]
        )
        return Done(f"{rows[0]} is archived.")


@admin.register(Provider)
class ProviderAdmin(ScopedAdmin):
    """Providers of the kind that needs no credential; others are shown only."""

    form = ProviderForm
    section, place = "Tenants", 3
    entity_type = "providers"
    gestures = (ArchiveProvider(),)
    list_display = (
        "name",
        columns.related("zone"),
        columns.mono("identifier"),
        "kind",
        "state",
        "resources",
        columns.moment("created_at"),
    )
    list_filter = (StateFilter, "kind", ZoneFilter)
    search_fields = ("name", "identifier", "=id")
    readonly_fields = (
        columns.mono("id", "ID"),
        columns.related("zone"),
        "kind",
        columns.exact("created_at"),
        columns.exact("updated_at"),
        columns.exact("archived_at"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        using = counted(Resource.objects.live(), "credential_provider")
        return super().get_queryset(request).annotate(resource_count=using)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["zone", "name", "identifier"]})]
        return [
            (None, {"fields": ["name", "identifier"]}),
            ("Record", {"classes": ["record"], "fields": list(self.readonly_fields)}),
        ]

    def panels(self, request: HttpRequest, obj: Provider) -> Iterable[Panel]:
        using = Resource.objects.live().filter(credential_provider=obj)
        yield Table(
            title="Resources that use it",
            headings=("Name", "Identifier"),
            rows=[
                (display.object_link(row), display.mono(row.identifier))
                for row in using[:SHOWN_RESOURCES]
            ],
        )

    def create(
        self, actor: Actor, form: ConsoleForm
    ) -> tuple[Model, Disclosure | None]:
        given = form.cleaned_data
        provider = services.create_provider(
            ProviderKind.NONE,
            zone_id=given["zone"].pk,
            actor=actor,
            name=given["name"] or None,
            identifier=given["identifier"] or None,
        )
        return provider, None

    def change(self, actor: Actor, obj: Any, form: ConsoleForm) -> Model:
        changes: Any = form.changes()
        return services.change_provider(
            obj.pk, zone_id=obj.zone_id, actor=actor, changes=changes
        )

    @admin.display(description="state")
    def state(self, obj: Provider) -> SafeString:
        return display.badge("archived" if obj.archived_at else "live")

    @admin.display(description="resources", ordering="resource_count")
    def resources(self, obj: Any) -> str:
        return f"{obj.resource_count:,}"
