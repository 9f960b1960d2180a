"""Providers in the console."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString

from caracal_site.actors import Actor
from caracal_site.console import columns, display
from caracal_site.console.disclosure import Disclosure
from caracal_site.console.filters import StateFilter, ZoneFilter
from caracal_site.console.forms import ConsoleForm
from caracal_site.console.gestures import Affected, Done, Gesture, Impact
from caracal_site.console.panels import Links, Panel
from zones import services
from zones.admin import usage
from zones.admin.provider_forms import FORMS, ProviderForm
from zones.admin.scoped import ScopedAdmin, counted
from zones.models import Provider, ProviderKind, Resource
from zones.provider_kinds import KINDS, OAUTH
from zones.token_requests import OK


class CheckConnection(Gesture):
    name = "test"
    button = "Test connection"
    question = "Ask the token endpoint for a token?"
    explanation = (
        "The token endpoint is asked with the credentials of this provider. For kinds"
        " people sign in to, a made-up code is sent, which a working endpoint refuses."
        " A token that comes back is thrown away."
    )
    needs_reason = False
    is_harmful = False

    def offered_for(self, row: Provider) -> bool:
        return row.archived_at is None and row.kind in OAUTH

    def preview(self, rows: Sequence[Provider]) -> Impact:
        endpoint = rows[0].config_json.get("token_endpoint")
        return Impact(notes=[f"The request goes to {endpoint}"])

    def perform(
        self, actor: Actor, rows: Sequence[Provider], answers: dict[str, Any]
    ) -> Done:
        tested = services.check_connection(
            rows[0].id, zone_id=rows[0].zone_id, actor=actor
        )
        worked = tested.status == OK
        outcome = (
            "The connection works." if worked else f"Not working: {tested.status}."
        )
        return Done(f"{outcome} {tested.detail}", is_good=worked)


class ArchiveProvider(Gesture):
    name = "archive"
    button = "Archive"
    question = "Archive this provider?"
    explanation = (
        "It can no longer be chosen for resources, and the accounts that users"
        " connected there are forgotten. This cannot be undone."
    )

    def offered_for(self, row: Provider) -> bool:
        return row.archived_at is None

    def preview(self, rows: Sequence[Provider]) -> Impact:
        using = Resource.objects.live().filter(credential_provider=rows[0])
        number = using.count()
        if not number:
            ended = services.foresee_provider(rows[0])
            accounts = Affected("Accounts disconnected", len(ended.provider_grants))
            return Impact([accounts], notes=["No live resource uses it."])
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
    """Each kind has a form of its own; a provider is added by choosing the kind."""

    form = ProviderForm
    section, place = "Tenants", 3
    entity_type = "providers"
    secret_fields = ("sealed_secrets",)
    gestures = (CheckConnection(), ArchiveProvider())
    list_display = (
        "name",
        columns.related("zone"),
        columns.mono("identifier"),
        columns.column(
            "get_kind_display", lambda get: get(), label="kind", order="kind"
        ),
        "state",
        columns.words("secret_config_keys", "sealed"),
        "resources",
        columns.moment("created_at"),
    )
    list_filter = (StateFilter, "kind", ZoneFilter)
    search_fields = ("name", "identifier", "=id")
    readonly_fields = (
        columns.mono("id", "ID"),
        columns.related("zone"),
        columns.column("get_kind_display", lambda get: get(), label="kind"),
        columns.words("secret_config_keys", "sealed"),
        columns.exact("secrets_changed_at", "secrets changed"),
        columns.exact("created_at"),
        columns.exact("updated_at"),
        columns.exact("archived_at"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        using = counted(Resource.objects.live(), "credential_provider")
        return super().get_queryset(request).annotate(resource_count=using)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[ModelForm]:
        kwargs["form"] = FORMS[_wanted_kind(request, obj)]
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        named = (None, {"fields": ["zone", "kind", "name", "identifier"]})
        if obj is None:
            return [named, *_configuration(_wanted_kind(request, obj))]
        record = {"classes": ["record"], "fields": list(self.readonly_fields)}
        if not self.has_change_permission(request, obj):
            shown = ["name", "identifier", columns.as_json("config_json")]
            return [(None, {"fields": shown}), ("Record", record)]
        return [
            (None, {"fields": named[1]["fields"][1:]}),
            *_configuration(_wanted_kind(request, obj)),
            ("Record", record),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        asked = request.method == "POST" or "kind" in request.GET
        if asked or "zone" not in request.GET or not self.has_add_permission(request):
            return super().add_view(request, form_url, extra_context)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Add {self.opts.verbose_name}",
            "opts": self.opts,
            "list_title": self.title,
            "kinds": [
                (f"?{urlencode({'zone': request.GET['zone'], 'kind': kind})}", *told)
                for kind, told in _described_kinds()
            ],
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "console/choose_kind.html", context)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        obj = kwargs.get("obj")
        kind = _wanted_kind(request, obj)
        if obj is not None and kind != obj.kind:
            context["lead"] = (
                f"Saving makes this a provider of the kind {ProviderKind(kind).label}."
                " Its present configuration and secrets are replaced."
            )
        return super().render_change_form(request, context, *args, **kwargs)

    def panels(self, request: HttpRequest, obj: Provider) -> Iterable[Panel]:
        yield usage.panel(obj)
        if self.has_change_permission(request, obj):
            shown = _wanted_kind(request, obj)
            yield Links(
                title="Make it another kind",
                links=[
                    (told[0], "", f"?kind={kind}")
                    for kind, told in _described_kinds()
                    if kind != shown
                ],
            )

    def create(
        self, actor: Actor, form: ConsoleForm
    ) -> tuple[Model, Disclosure | None]:
        given = form.cleaned_data
        filled = cast(ProviderForm, form)
        provider = services.create_provider(
            filled.provider_kind,
            zone_id=given["zone"].pk,
            actor=actor,
            name=given["name"] or None,
            identifier=given["identifier"] or None,
            config_json=filled.config(),
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


def _wanted_kind(request: HttpRequest, obj: Any) -> str:
    """The kind whose form is shown: the one asked for, else that of the row."""
    asked = request.POST.get("kind") or request.GET.get("kind") or ""
    present = ProviderKind.NONE if obj is None else obj.kind
    return asked if asked in KINDS else str(present)


def _configuration(kind: str) -> list[Any]:
    known = KINDS[kind]
    shown = {
        "fields": [member.name for member in known.members],
        "description": known.about,
    }
    return [(_heading(kind), shown)]


def _heading(kind: str) -> str:
    label = str(ProviderKind(kind).label)
    return label[:1].upper() + label[1:]


def _described_kinds() -> Iterable[tuple[str, tuple[str, str]]]:
    for kind, known in KINDS.items():
        yield kind, (_heading(kind), known.about)
