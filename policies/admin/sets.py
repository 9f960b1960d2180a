"""Policy sets in the console: members, versions, what is in force and where."""

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
from caracal_site.console.disclosure import Disclosure
from caracal_site.console.filters import StateFilter, ZoneFilter
from caracal_site.console.gestures import Done, Gesture, Impact
from caracal_site.console.overview import Figure
from caracal_site.console.panels import Facts, Links, Panel, Table
from caracal_site.console.scoped import ScopedAdmin, ScopedForm
from policies import rules, services
from policies.models import (
    Policy,
    PolicyActivation,
    PolicySet,
    PolicySetVersion,
    PolicyVersion,
)

ARRIVED = {"loaded": "good", "not_loaded": "warn", "failed": "bad"}
PROPAGATION = {
    "loaded": ("Every process that decides has it.", "good"),
    "failed": ("It could not be loaded or announced.", "bad"),
    "waiting_for_outbox": ("The news of it is not out yet.", "warn"),
    "waiting_for_sts": ("No process that decides has loaded it yet.", "warn"),
    "waiting_for_activation": ("It is not in force.", "quiet"),
}


class PolicySetForm(ScopedForm):
    name = forms.CharField(max_length=rules.MAX_NAME)
    description = forms.CharField(
        max_length=rules.MAX_DESCRIPTION,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "cols": 60}),
    )
    members = forms.MultipleChoiceField(
        label="Policies of the next version",
        widget=forms.CheckboxSelectMultiple,
        help_text="A set decides by all its policies together.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:
            del self.fields["members"]
            return
        del self.fields["name"], self.fields["description"]
        newest = newest_of(self.instance)
        present = services.members_of(newest.id) if newest else []
        self.initial["members"] = present
        field: Any = self.fields["members"]
        field.choices = choices_of(self.zone_id, present)

    def clean_members(self) -> list[str]:
        """The chosen versions, those the set has already first and in their order."""
        chosen = set(self.cleaned_data["members"])
        field: Any = self.fields["members"]
        offered = [value for value, _ in field.choices]
        return [value for value in offered if value in chosen]


def choices_of(zone_id: str, present: Sequence[str]) -> list[tuple[str, str]]:
    """Policy versions to choose from: the set's own, then the newest of each policy."""
    own = {
        version.id: version
        for version in PolicyVersion.objects.filter(id__in=present).select_related(
            "policy"
        )
    }
    newest = (
        PolicyVersion.objects.filter(policy__in=Policy.objects.in_zone(zone_id).live())
        .exclude(id__in=present)
        .order_by("policy__name", "policy_id", "-version")
        .distinct("policy__name", "policy_id")
        .select_related("policy")
    )
    versions = [own[version_id] for version_id in present] + list(newest)
    return [(one.id, f"{one.policy.name}, version {one.version}") for one in versions]


def newest_of(policy_set: PolicySet) -> PolicySetVersion | None:
    """The last version of a set, if it has one."""
    found: PolicySetVersion | None = policy_set.versions.order_by("-version").first()
    return found


class DeactivatePolicySet(Gesture):
    name = "deactivate"
    button = "Deactivate"
    question = "Take this policy set out of force?"
    explanation = (
        "Without a policy set in force nothing is allowed in the zone: no application"
        " gets a token any more, not even to begin."
    )

    def offered_for(self, row: Any) -> bool:
        return getattr(row, "active_version_id", None) is not None

    def preview(self, rows: Sequence[PolicySet]) -> Impact:
        return Impact(notes=["Restrictions of the set end with it."])

    def perform(
        self, actor: Actor, rows: Sequence[PolicySet], answers: dict[str, Any]
    ) -> Done:
        services.deactivate_policy_set(
            rows[0].id, zone_id=rows[0].zone_id, actor=actor, reason=answers["reason"]
        )
        return Done(f"{rows[0]} is out of force.")


class ArchivePolicySet(Gesture):
    name = "archive"
    button = "Archive"
    question = "Archive this policy set?"
    explanation = "It cannot be activated any more. This cannot be undone."

    def offered_for(self, row: Any) -> bool:
        return row.archived_at is None and row.active_version_id is None

    def preview(self, rows: Sequence[PolicySet]) -> Impact:
        return Impact()

    def perform(
        self, actor: Actor, rows: Sequence[PolicySet], answers: dict[str, Any]
    ) -> Done:
        services.archive_policy_set(
            rows[0].id, zone_id=rows[0].zone_id, actor=actor, reason=answers["reason"]
        )
        return Done(f"{rows[0]} is archived.")


@admin.register(PolicySet)
class PolicySetAdmin(ScopedAdmin):
    form = PolicySetForm
    section, place = "Policies", 2
    entity_type = "policy-sets"
    gestures = (DeactivatePolicySet(), ArchivePolicySet())
    list_display = (
        "name",
        columns.related("zone"),
        "description",
        "state",
        columns.mono("created_by"),
        columns.moment("created_at"),
    )
    list_filter = (StateFilter, ZoneFilter)
    search_fields = ("name", "=id")
    readonly_fields = (
        columns.mono("id", "ID"),
        columns.related("zone"),
        columns.mono("created_by"),
        columns.exact("created_at"),
        columns.exact("archived_at"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows: Any = super().get_queryset(request)
        with_active: QuerySet = rows.with_active_version()
        return with_active

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["zone", "name", "description"]})]
        record = {"classes": ["record"], "fields": list(self.readonly_fields)}
        if not self.has_change_permission(request, obj):
            return [("Record", record)]
        return [("New version", {"fields": ["members"]}), ("Record", record)]

    def panels(self, request: HttpRequest, obj: Any) -> Iterable[Panel]:
        if obj.active_version_id:
            yield from arrival(obj)
        versions = obj.versions.order_by("-version").prefetch_related(
            "members__policy_version__policy"
        )
        yield Table(
            title="Versions",
            headings=("version", "policies", "state", "by", "at"),
            rows=[_row(version, obj.active_version_id) for version in versions],
            empty="None yet: choose policies above.",
        )
        scenarios = reverse("admin:policies_policyscenario_changelist")
        yield Links(
            title="Tests",
            links=[
                (
                    "scenarios",
                    f"{obj.scenarios.count():,}",
                    f"{scenarios}?policy+set={obj.pk}",
                )
            ],
        )

    def create(self, actor: Actor, form: Any) -> tuple[Model, Disclosure | None]:
        given = form.cleaned_data
        made = services.create_policy_set(
            given["name"],
            zone_id=given["zone"].pk,
            actor=actor,
            description=given["description"] or None,
        )
        return made, None

    def change(self, actor: Actor, obj: Any, form: Any) -> Model:
        services.add_policy_set_version(
            obj.pk,
            zone_id=obj.zone_id,
            actor=actor,
            policy_version_ids=form.cleaned_data["members"],
        )
        row: Model = obj
        return row

    @admin.display(description="state")
    def state(self, obj: Any) -> SafeString:
        if obj.archived_at:
            return display.badge("archived")
        if obj.active_version_id:
            return display.badge("in force", "good")
        return display.badge("not in force", "quiet")


def arrival(policy_set: Any) -> Iterable[Panel]:
    """Where the version in force has been loaded, process by process."""
    status = services.activation_status(policy_set.pk, zone_id=policy_set.zone_id)
    sentence, tone = PROPAGATION[status.propagation_status]
    version = PolicySetVersion.objects.get(id=status.version_id)
    activation = PolicyActivation.objects.get(zone_id=policy_set.zone_id)
    outbox = status.outbox
    yield Facts(
        title="In force",
        facts=[
            ("version", display.object_link(version)),
            ("arrival", display.badge(status.propagation_status, tone)),
            ("", sentence),
            ("activated", display.moment(activation.activated_at, exact=True)),
            ("by", activation.activated_by),
            ("revision", str(activation.revision)),
            ("event", display.link_to("audit.OutboxEvent", outbox["id"])),
            ("event state", display.badge(outbox["state"])),
        ],
    )
    yield Table(
        title="Processes that decide",
        headings=("process", "state", "version", "loaded", "last seen", "problem"),
        rows=[
            [
                display.mono(one.evaluator_id),
                display.badge(one.state, ARRIVED[one.state]),
                display.short(one.version_id),
                display.moment(one.loaded_at),
                display.moment(one.seen_at),
                one.error,
            ]
            for one in status.arrivals
        ],
        empty="None has reported lately. Each loads what is in force with its first"
        " decision.",
    )


def _row(version: PolicySetVersion, active_id: str | None) -> list[SafeString | str]:
    members = [
        f"{one.policy_version.policy.name} v{one.policy_version.version}"
        for one in version.members.all()
    ]
    is_active = version.pk == active_id
    return [
        display.object_link(version),
        display.words(members),
        display.badge("in force", "good") if is_active else display.EMPTY,
        version.created_by,
        display.moment(version.created_at, exact=True),
    ]


@overview.figure(4, permission="policies.view_policyset")
def zones_under_policies() -> Figure:
    in_force = PolicyActivation.objects.filter(active_version__isnull=False)
    behind = services.stragglers()
    return Figure(
        "Zones under policies",
        f"{in_force.count():,}",
        display.counted(behind, "process behind", "processes behind") if behind else "",
        reverse("admin:policies_policyset_changelist"),
        "warn" if behind else "",
    )
