"""Resources in the console."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.safestring import SafeString

from caracal_site.actors import Actor
from caracal_site.console import columns, display
from caracal_site.console.disclosure import Disclosure
from caracal_site.console.filters import StateFilter, ZoneFilter, linked
from caracal_site.console.forms import LinesField
from caracal_site.console.gestures import Done, Gesture, Impact
from caracal_site.console.panels import Panel
from zones import rules, services
from zones.admin import usage
from zones.admin.scoped import ScopedAdmin, ScopedForm
from zones.models import Application, Provider, Resource

FIELDS = (
    "name",
    "identifier",
    "upstream_url",
    "scopes",
    "credential_provider",
    "gateway_application",
    "operations",
    "operation_enforcement",
)


class OperationsField(LinesField):
    """Operations, one a line: method, path and scope."""

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return "\n".join(
            " ".join((one["method"], one["path"], one["scope"])) for one in value
        )

    def to_python(self, value: Any) -> Any:
        found = []
        for line in super().to_python(value):
            words = line.split()
            if len(words) != 3:
                raise forms.ValidationError(
                    f"Expected a method, a path and a scope: {line}"
                )
            found.append(dict(zip(("method", "path", "scope"), words, strict=True)))
        return found

    def run_validators(self, value: Any) -> None:
        """The service checks operations against the scopes."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(super().has_changed(initial, data))
        except forms.ValidationError:
            return True


class ResourceForm(ScopedForm):
    name = forms.CharField(max_length=200, required=False)
    identifier = forms.CharField(
        max_length=rules.MAX_RESOURCE_IDENTIFIER,
        required=False,
        help_text="An absolute URI such as resource://calendar. Made from the name when"
        " empty.",
    )
    upstream_url = forms.CharField(
        max_length=rules.MAX_UPSTREAM_URL, required=False, label="Upstream URL"
    )
    scopes = LinesField(max_length=200, help_text="One a line.")
    credential_provider = forms.ModelChoiceField(
        Provider.objects.none(), required=False, label="Provider"
    )
    gateway_application = forms.ModelChoiceField(
        Application.objects.none(),
        required=False,
        help_text="The managed application that fronts the resource and so owns it.",
    )
    operations = OperationsField(
        required=False, help_text="One a line: GET /documents/{id} documents:read"
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        bound = getattr(self.instance, "gateway_application_id", None)
        self.initial.setdefault("gateway_application", bound)
        choices: dict[str, Any] = {
            "credential_provider": Provider.objects.live(),
            "gateway_application": Application.objects.live().managed().unexpired(),
        }
        for name, rows in choices.items():
            if name in self.fields:
                field: Any = self.fields[name]
                field.queryset = rows.in_zone(self.zone_id).order_by("name", "pk")

    def clean_upstream_url(self) -> str | None:
        url = self.cleaned_data["upstream_url"].strip()
        fault = rules.upstream_fault(url) if url else None
        if fault:
            raise forms.ValidationError(fault)
        return url or None

    def clean_scopes(self) -> list[str]:
        scopes: list[str] = self.cleaned_data["scopes"]
        fault = rules.scopes_fault(scopes)
        if fault:
            raise forms.ValidationError(fault)
        return scopes

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        adding = self.instance._state.adding
        if adding and not (cleaned.get("name") or cleaned.get("identifier")):
            self.add_error("name", "A name or an identifier is needed.")
        return cleaned

    def given(self, names: Sequence[str]) -> dict[str, Any]:
        """The values of these fields as the services take them."""
        values = {name: self.cleaned_data[name] for name in names}
        for relation in ("credential_provider", "gateway_application"):
            if relation in values:
                row = values.pop(relation)
                values[f"{relation}_id"] = row.pk if row else None
        return values


class ArchiveResource(Gesture):
    name = "archive"
    button = "Archive"
    question = "Archive this resource?"
    explanation = (
        "Nobody can be given authority over it any more, and its gateway stops serving"
        " it. Delegations about nothing else end, with the agents that only they"
        " justify. This cannot be undone; the identifier becomes free."
    )

    def offered_for(self, row: Resource) -> bool:
        return row.archived_at is None and not services.is_control(row.identifier)

    def preview(self, rows: Sequence[Resource]) -> Impact:
        row = rows[0]
        return usage.impact(row, services.foresee_resource(row))

    def perform(
        self, actor: Actor, rows: Sequence[Resource], answers: dict[str, Any]
    ) -> Done:
        services.archive_resource(
            rows[0].id, zone_id=rows[0].zone_id, actor=actor, reason=answers["reason"]
        )
        return Done(f"{rows[0]} is archived.")


@admin.register(Resource)
class ResourceAdmin(ScopedAdmin):
    form = ResourceForm
    section, place = "Tenants", 4
    entity_type = "resources"
    gestures = (ArchiveResource(),)
    list_select_related = ("zone", "credential_provider")
    list_display = (
        "name",
        columns.related("zone"),
        columns.mono("identifier"),
        columns.words("scopes"),
        "gateway",
        columns.related("credential_provider", "provider"),
        "state",
        columns.moment("created_at"),
    )
    list_filter = (
        StateFilter,
        "operation_enforcement",
        ZoneFilter,
        linked("credential_provider_id", "provider"),
        linked("gateway_application_id", "gateway"),
    )
    search_fields = ("name", "identifier", "=id")
    readonly_fields = (
        columns.mono("id", "ID"),
        columns.related("zone"),
        columns.exact("created_at"),
        columns.exact("updated_at"),
        columns.exact("archived_at"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows: Any = super().get_queryset(request)
        name = Application.objects.filter(pk=OuterRef("gateway_application_id"))
        return rows.with_gateway_application().annotate(
            gateway_application_name=Subquery(name.values("name")[:1])
        )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["zone", *FIELDS]})]
        return [
            (None, {"fields": list(FIELDS)}),
            ("Record", {"classes": ["record"], "fields": list(self.readonly_fields)}),
        ]

    def panels(self, request: HttpRequest, obj: Resource) -> Iterable[Panel]:
        yield usage.panel(obj)

    def create(self, actor: Actor, form: Any) -> tuple[Model, Disclosure | None]:
        given = form.given(FIELDS)
        wanted: Any = {
            name: value for name, value in given.items() if value not in ("", None)
        }
        zone_id = form.cleaned_data["zone"].pk
        return services.create_resource(
            zone_id=zone_id, actor=actor, fields=wanted
        ), None

    def change(self, actor: Actor, obj: Any, form: Any) -> Model:
        changes: Any = form.given(form.changed_data)
        return services.change_resource(
            obj.pk, zone_id=obj.zone_id, actor=actor, changes=changes
        )

    @admin.display(description="state")
    def state(self, obj: Resource) -> SafeString:
        return display.badge("archived" if obj.archived_at else "live")

    @admin.display(description="gateway")
    def gateway(self, obj: Any) -> SafeString:
        return display.link_to(
            Application, obj.gateway_application_id, obj.gateway_application_name or ""
        )

    @admin.display(description="gateway application")
    def gateway_application(self, obj: Any) -> SafeString:
        return self.gateway(obj)
