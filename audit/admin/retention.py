"""How long decisions are kept, in the console: by default, and in each zone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from audit import retention
from audit.admin.trail import with_zone_name
from audit.ledger import retiring
from audit.models import AuditRetention
from caracal_site.actors import Actor
from caracal_site.console import columns, display
from caracal_site.console.base import DomainAdmin
from caracal_site.console.disclosure import Disclosure
from caracal_site.console.forms import ConsoleForm
from caracal_site.console.gestures import (
    REASON_LENGTH,
    Affected,
    Done,
    Gesture,
    Impact,
)
from caracal_site.console.panels import Facts, Panel, Table
from zones.models import Zone

SHOWN_ZONES = 20
EVERY_ZONE = "Every zone, by default"


def zone_of(row: AuditRetention) -> str | None:
    """The zone a row is about; None for the platform's own."""
    return None if row.scope == retention.PLATFORM else row.scope


def retention_url(zone_id: str) -> str:
    """Where the retention of a zone is changed, or begun."""
    if AuditRetention.objects.filter(scope=zone_id).exists():
        return display.change_url(AuditRetention, zone_id)
    return f"{reverse('admin:audit_auditretention_add')}?zone={zone_id}"


def foreseen(row: AuditRetention, *, unheld: bool = False) -> list[retiring.Past]:
    """What the next run would remove of what ``row`` is about; with ``unheld`` as if
    its own hold were lifted."""
    zone_id = zone_of(row)
    zones = [zone_id] if zone_id else None
    without = row.scope if unheld else None
    return retiring.foresee(retiring.past(zones, without_hold_of=without))


def told(count: int) -> str:
    if count > retiring.COUNTED:
        return f"more than {retiring.COUNTED:,}"
    return f"{count:,}"


class Hold(Gesture):
    name = "hold"
    button = "Put under legal hold"
    question = "Put these decisions under legal hold?"
    explanation = (
        "Nothing is removed until the hold is lifted, however old it is: neither by the"
        " platform nor by whoever has its access to the database."
    )
    is_harmful = False

    def offered_for(self, row: AuditRetention) -> bool:
        return not row.legal_hold

    def preview(self, rows: Sequence[AuditRetention]) -> Impact:
        removable = sum(one.rows for one in foreseen(rows[0]))
        return Impact([Affected("Decisions that stay, of those due to go", removable)])

    def perform(
        self, actor: Actor, rows: Sequence[AuditRetention], answers: dict[str, Any]
    ) -> Done:
        changed(rows[0], actor, {"legal_hold": True}, answers["reason"])
        return Done("Nothing is removed from now on.")


class LiftHold(Gesture):
    name = "lift-hold"
    button = "Lift the legal hold"
    question = "Lift the legal hold?"
    explanation = (
        "Decisions past their retention are removed again, by the next run within the"
        " hour. What is removed cannot be brought back."
    )

    def offered_for(self, row: AuditRetention) -> bool:
        return row.legal_hold

    def preview(self, rows: Sequence[AuditRetention]) -> Impact:
        removable = sum(one.rows for one in foreseen(rows[0], unheld=True))
        return Impact([Affected("Decisions the next run would remove", removable)])

    def perform(
        self, actor: Actor, rows: Sequence[AuditRetention], answers: dict[str, Any]
    ) -> Done:
        changed(rows[0], actor, {"legal_hold": False}, answers["reason"])
        return Done("The hold is lifted.")


def changed(
    row: AuditRetention, actor: Actor, changes: dict[str, Any], reason: str
) -> AuditRetention:
    retention.change_retention(
        zone_id=zone_of(row), actor=actor, changes=changes, reason=reason
    )
    return AuditRetention.objects.get(scope=row.scope)


class RetentionForm(ConsoleForm):
    zone = forms.ModelChoiceField(
        Zone.objects.live().order_by("name", "pk"),
        required=False,
        empty_label=EVERY_ZONE,
        help_text="Whose decisions; leave it for what counts where a zone has nothing"
        " of its own.",
    )
    retention_days = forms.IntegerField(
        min_value=1,
        max_value=2**31 - 1,
        required=False,
        label="Days",
        help_text="For how long decisions are kept. Empty: as long as the platform"
        " does. Fewer days only count after a wait, and can be taken back until then.",
    )
    reason = forms.CharField(
        max_length=REASON_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text="Kept in the audit trail.",
    )


@admin.register(AuditRetention)
class AuditRetentionAdmin(DomainAdmin):
    """What counts by default, and the zones that have something of their own."""

    form = RetentionForm
    section, place = "Evidence", 6
    label, one = "Retention", "retention"
    entity_type = "audit-retention"
    gestures = (Hold(), LiftHold())
    ordering = ("-scope",)
    list_display = (
        "whose",
        "days",
        "hold",
        columns.moment("shortens_at", "counts from"),
        columns.moment("updated_at", "changed"),
    )
    list_filter = ("legal_hold",)
    search_fields = ("=scope",)
    search_help_text = "The whole id of a zone."
    readonly_fields = (
        "whose",
        "hold",
        columns.exact("shortens_at", "counts from (UTC)"),
        columns.exact("updated_at", "changed (UTC)"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return with_zone_name(rows, "scope")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["zone", "retention_days", "reason"]})]
        shown = ["retention_days", *self.readonly_fields]
        if self.has_change_permission(request, obj):
            shown.append("reason")
        return [(None, {"fields": shown})]

    def heading(self, obj: Any) -> str:
        if zone_of(obj) is None:
            return "Retention by default"
        return f"Retention of {getattr(obj, 'zone_name', None) or obj.scope}"

    def create(
        self, actor: Actor, form: ConsoleForm
    ) -> tuple[Model, Disclosure | None]:
        given = form.cleaned_data
        scope = given["zone"].pk if given["zone"] else retention.PLATFORM
        row = AuditRetention(scope=scope)
        days = {"retention_days": given["retention_days"]}
        return changed(row, actor, days, given["reason"]), None

    def change(self, actor: Actor, obj: Any, form: ConsoleForm) -> Model:
        changes = {"retention_days": form.cleaned_data["retention_days"]}
        return changed(obj, actor, changes, form.cleaned_data["reason"])

    def panels(self, request: HttpRequest, obj: AuditRetention) -> Iterator[Panel]:
        yield _in_force(obj)
        yield _next_run(obj)

    def timeline_rows(self, obj: Any) -> QuerySet[Any]:
        """Without what happened in the zone whose id it has."""
        return super().timeline_rows(obj).filter(entity_type=self.entity_type)

    @admin.display(description="whose", ordering="scope")
    def whose(self, obj: Any) -> SafeString | str:
        zone_id = zone_of(obj)
        if zone_id is None:
            return EVERY_ZONE
        return display.link_to(Zone, zone_id, obj.zone_name or zone_id)

    @admin.display(description="days")
    def days(self, obj: AuditRetention) -> str:
        if obj.retention_days is None:
            return "as the platform" if zone_of(obj) else f"{_ceiling()}, the most"
        return f"{obj.retention_days:,}"

    @admin.display(description="legal hold of its own")
    def hold(self, obj: AuditRetention) -> SafeString | str:
        return display.badge("held", "warn") if obj.legal_hold else "no"


def _ceiling() -> int:
    return int(settings.AUDIT_RETENTION_DAYS)


def _in_force(row: AuditRetention) -> Facts:
    zone_id = zone_of(row)
    found = retention.of_zone(zone_id) if zone_id else retention.of_platform()
    facts: list[tuple[str, SafeString | str]] = [
        ("Decisions are kept for", display.counted(found.days_now, "day"))
    ]
    if found.shortens_at is not None:
        days = display.counted(found.days, "day")
        when = display.countdown(found.shortens_at, exact=True)
        facts.append((f"Then for {days}, from", when))
    facts += [
        ("Legal hold", _hold(row, found)),
        ("The most that can be set", display.counted(_ceiling(), "day")),
    ]
    return Facts(title="In force", facts=facts)


def _hold(row: AuditRetention, found: retention.Retention) -> SafeString | str:
    if not found.legal_hold:
        return "no"
    return display.badge("held" if row.legal_hold else "held by the platform", "warn")


def _next_run(row: AuditRetention) -> Table:
    found = foreseen(row)
    names = dict(
        Zone.objects.filter(
            pk__in=[one.zone_id for one in found[:SHOWN_ZONES]]
        ).values_list("pk", "name")
    )
    more = len(found) - SHOWN_ZONES
    return Table(
        title="What the next run would remove",
        headings=("Zone", "Decisions", "Oldest (UTC)"),
        rows=[
            (
                display.link_to(Zone, one.zone_id, names.get(one.zone_id, one.zone_id)),
                told(one.rows),
                display.moment(one.oldest, exact=True),
            )
            for one in found[:SHOWN_ZONES]
        ],
        empty="Nothing: no decision is past its retention, or what is, is held.",
        more=f"and of {display.counted(more, 'zone')} more" if more > 0 else "",
    )
