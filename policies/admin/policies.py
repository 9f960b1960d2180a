"""Policies in the console: source, versions, and the form for a new one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from caracal_site.actors import Actor
from caracal_site.console import columns, display
from caracal_site.console.disclosure import Disclosure
from caracal_site.console.filters import StateFilter, ZoneFilter
from caracal_site.console.gestures import Affected, Done, Gesture, Impact
from caracal_site.console.panels import Difference, Panel, Source, Table
from caracal_site.console.scoped import ScopedAdmin, ScopedForm
from policies import rules, services
from policies.admin.painting import painted
from policies.errors import InvalidRego
from policies.models import Policy, PolicyVersion
from policies.templates import TEMPLATES

TEMPLATE = "template"
VERSION = "version"


class SourceField(forms.CharField):
    """Source as it is typed, but for the line ends browsers send."""

    def __init__(self, **kwargs: Any) -> None:
        area = forms.Textarea(
            attrs={"class": "source", "rows": 24, "spellcheck": "false"}
        )
        super().__init__(
            strip=False, max_length=rules.MAX_CONTENT, widget=area, **kwargs
        )

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).replace("\r\n", "\n")

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((initial or "") != self.to_python(data))


class PolicyForm(ScopedForm):
    name = forms.CharField(max_length=rules.MAX_NAME)
    description = forms.CharField(
        max_length=rules.MAX_DESCRIPTION,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "cols": 60}),
    )
    content = SourceField(
        label="Source", help_text="Rego in which every rule is plain data."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            del self.fields["name"], self.fields["description"]
        if not self.instance._state.adding and "content" in self.fields:
            self.initial["content"] = newest_of(self.instance).content
            self.fields["content"].label = "Source of the next version"

    def _show(self, refusal: Any) -> None:
        if not isinstance(refusal, InvalidRego):
            super()._show(refusal)
            return
        for issue in sorted(refusal.report.issues, key=lambda one: one.line):
            self.add_error("content", str(issue))


class ArchivePolicy(Gesture):
    name = "archive"
    button = "Archive"
    question = "Archive this policy?"
    explanation = (
        "It gets no further versions and is offered to no set. What is in force is not"
        " affected: a policy that a set stands on cannot be archived."
    )

    def offered_for(self, row: Policy) -> bool:
        return row.archived_at is None

    def preview(self, rows: Sequence[Policy]) -> Impact:
        uses = services.uses_of(rows[0])
        links = [
            display.link_to(
                "policies.PolicySetVersion",
                use["policy_set_version_id"],
                f"{use['policy_set_name']}, version {use['version']}",
            )
            for use in uses
        ]
        notes = ["Sets stand on this policy, so it will be refused."] if uses else []
        return Impact([Affected("Sets that stand on it", len(uses), links)], notes)

    def perform(
        self, actor: Actor, rows: Sequence[Policy], answers: dict[str, Any]
    ) -> Done:
        services.archive_policy(
            rows[0].id, zone_id=rows[0].zone_id, actor=actor, reason=answers["reason"]
        )
        return Done(f"{rows[0]} is archived.")


@admin.register(Policy)
class PolicyAdmin(ScopedAdmin):
    form = PolicyForm
    section, place = "Policies", 1
    entity_type = "policies"
    gestures = (ArchivePolicy(),)
    list_display = (
        "name",
        columns.related("zone"),
        "description",
        columns.column("newest", str, label="versions"),
        "state",
        columns.mono("created_by"),
        columns.moment("created_at"),
    )
    list_filter = (StateFilter, ZoneFilter)
    search_fields = ("name", "=id")
    readonly_fields = (
        columns.mono("id", "ID"),
        columns.related("zone"),
        "owner_type",
        columns.mono("created_by"),
        columns.exact("created_at"),
        columns.exact("archived_at"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        newest = PolicyVersion.objects.filter(policy=OuterRef("pk"))
        number = newest.order_by("-version").values("version")[:1]
        return super().get_queryset(request).annotate(newest=Subquery(number))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            fields = ["zone", "name", "description", "content"]
            return [(None, {"fields": fields})]
        record = {"classes": ["record"], "fields": list(self.readonly_fields)}
        if not self.has_change_permission(request, obj):
            return [("Record", record)]
        return [("New version", {"fields": ["content"]}), ("Record", record)]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = dict(super().get_changeform_initial_data(request))
        for template in TEMPLATES:
            if template.id == request.GET.get(TEMPLATE):
                initial |= {"content": template.content}
                initial.setdefault("name", template.name)
        return initial

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if kwargs.get("obj") is None:
            context["lead"] = _starts(request)
            context["panels"] = list(_refused(request))
        return super().render_change_form(request, context, *args, **kwargs)

    def panels(self, request: HttpRequest, obj: Policy) -> Iterable[Panel]:
        yield from _refused(request)
        versions = list(obj.versions.order_by("-version"))
        wanted = request.GET.get(VERSION, "")
        shown = next((one for one in versions if str(one.version) == wanted), None)
        shown = shown or versions[0]
        digest = format_html("SHA-256 {}", display.mono(shown.content_sha256))
        yield Source(
            title=f"Source of version {shown.version}",
            text=shown.content,
            note=digest,
            paint=painted,
        )
        before = next((v for v in versions if v.version == shown.version - 1), None)
        if before is not None:
            yield Difference(
                title=f"What version {shown.version} changed",
                before=before.content,
                after=shown.content,
            )
        yield Table(
            title="Versions",
            headings=("version", "schema", "SHA-256", "by", "at"),
            rows=[_row(one) for one in versions],
        )
        yield Table(
            title="Sets that stand on this policy",
            headings=("set", "version", "state"),
            rows=[_use(use) for use in services.uses_of(obj)],
        )

    def create(self, actor: Actor, form: Any) -> tuple[Model, Disclosure | None]:
        given = form.cleaned_data
        created = services.create_policy(
            given["name"],
            zone_id=given["zone"].pk,
            actor=actor,
            content=given["content"],
            description=given["description"] or None,
        )
        return created.policy, None

    def change(self, actor: Actor, obj: Any, form: Any) -> Model:
        services.add_policy_version(
            obj.pk,
            zone_id=obj.zone_id,
            actor=actor,
            content=form.cleaned_data["content"],
        )
        row: Model = obj
        return row

    @admin.display(description="state")
    def state(self, obj: Policy) -> SafeString:
        return display.badge("archived" if obj.archived_at else "live")


def newest_of(policy: Policy) -> PolicyVersion:
    """The last version of a policy, which always has one."""
    found: PolicyVersion = policy.versions.latest("version")
    return found


def _refused(request: HttpRequest) -> Iterable[Panel]:
    """The source that was just refused, with what is wrong below its lines."""
    refusal = getattr(request, "refusal", None)
    if isinstance(refusal, InvalidRego):
        yield Source(
            title="What is wrong with the source",
            text=request.POST.get("content", "").replace("\r\n", "\n"),
            paint=painted,
            remarks=[
                (issue.line, f"{issue.message}. {issue.hint}".rstrip())
                for issue in refusal.report.issues
            ],
        )


def _starts(request: HttpRequest) -> SafeString:
    zone = request.GET.get("zone") or request.POST.get("zone") or ""
    links = format_html_join(
        ", ",
        '<a href="?zone={}&amp;template={}" title="{}">{}</a>',
        (
            (zone, template.id, template.description, template.name.lower())
            for template in TEMPLATES
        ),
    )
    return format_html("Start from a template: {}.", links)


def _row(version: PolicyVersion) -> list[SafeString | str]:
    link = f"?{VERSION}={version.version}"
    return [
        display.link(link, f"version {version.version}"),
        version.schema_version,
        display.short(version.content_sha256),
        version.created_by,
        display.moment(version.created_at, exact=True),
    ]


def _use(use: dict[str, Any]) -> list[SafeString | str]:
    return [
        display.link_to(
            "policies.PolicySet", use["policy_set_id"], use["policy_set_name"]
        ),
        display.link_to(
            "policies.PolicySetVersion",
            use["policy_set_version_id"],
            f"version {use['version']}",
        ),
        display.badge("in force", "good") if use["active"] else display.badge("newest"),
    ]
