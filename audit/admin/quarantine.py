"""The quarantine in the console: what the ledger did not take, to be settled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from audit import quarantine
from audit.models import AuditEvent, AuditQuarantine
from caracal_site.actors import Actor
from caracal_site.console import columns, display, overview
from caracal_site.console.base import EvidenceAdmin
from caracal_site.console.filters import LinkedFilter, linked
from caracal_site.console.gestures import Affected, Done, Gesture, Impact, examples
from caracal_site.console.overview import Figure

# More than this is not counted for the overview.
COUNTED = 1_000


def is_open(row: AuditQuarantine) -> bool:
    return row.settled_at is None


class TakeIn(Gesture):
    name = "take-in"
    button = "Take in again"
    question = "Take these decisions into the ledger?"
    explanation = (
        "They are judged again, as if they came now: by the keys that are known, the"
        " zones that exist and the text that was signed. What fits is taken under its"
        " own id and time, and sealed within a second; what does not stays here."
    )
    is_harmful = False
    is_bulk = True

    def offered_for(self, row: AuditQuarantine) -> bool:
        return is_open(row)

    def preview(self, rows: Sequence[AuditQuarantine]) -> Impact:
        judged = quarantine.judge(rows)
        why = Counter(judged.unfit.values())
        return Impact(
            [
                Affected(
                    "Decisions that fit now",
                    len(judged.fit),
                    examples(AuditQuarantine, judged.fit),
                )
            ],
            [
                f"{display.counted(count, 'decision')} would still not fit: {reason}."
                for reason, count in why.most_common()
            ],
        )

    def perform(
        self, actor: Actor, rows: Sequence[AuditQuarantine], answers: dict[str, Any]
    ) -> Done:
        done = quarantine.take_in(
            [row.id for row in rows], actor=actor, reason=answers["reason"]
        )
        told = f"{display.counted(len(done.taken), 'decision')} taken in"
        if not done.left:
            return Done(f"{told}.")
        reasons = ", ".join(sorted(set(done.left.values())))
        left = display.counted(len(done.left), "decision")
        return Done(f"{told}; {left} not: {reasons}.", is_good=False)


class Dismiss(Gesture):
    name = "dismiss"
    button = "Dismiss"
    question = "Dismiss these decisions?"
    explanation = (
        "They are not taken into the ledger, and no longer listed as open. They can"
        " still be read here, with the reason in their history."
    )
    is_bulk = True

    def offered_for(self, row: AuditQuarantine) -> bool:
        return is_open(row)

    def preview(self, rows: Sequence[AuditQuarantine]) -> Impact:
        ids = [row.id for row in rows]
        shown = examples(AuditQuarantine, ids)
        return Impact([Affected("Decisions dismissed", len(ids), shown)])

    def perform(
        self, actor: Actor, rows: Sequence[AuditQuarantine], answers: dict[str, Any]
    ) -> Done:
        done = quarantine.dismiss(
            [row.id for row in rows], actor=actor, reason=answers["reason"]
        )
        return Done(f"{display.counted(len(done), 'decision')} dismissed.")


class ReasonFilter(LinkedFilter):
    title = parameter_name = "reason"
    field = "reason"


class SettledFilter(SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        return [("open", "Open"), ("taken", "Taken in"), ("dismissed", "Dismissed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "open":
                return queryset.filter(settled_at=None)
            case "taken" | "dismissed" as state:
                settled = queryset.filter(settled_at__isnull=False)
                return settled.filter(is_taken=state == "taken")
        return queryset


@admin.register(AuditQuarantine)
class AuditQuarantineAdmin(EvidenceAdmin):
    """What other producers sent and the ledger did not take."""

    section, place = "Evidence", 5
    label, one = "Quarantine", "quarantined decision"
    entity_type = "audit-quarantine"
    gestures = (TakeIn(), Dismiss())
    list_display = (
        columns.moment("received_at", "received"),
        columns.badge("reason"),
        columns.mono("detail"),
        "state",
        columns.mono("event_id", "event"),
        columns.mono("zone_id", "zone"),
    )
    list_filter = (SettledFilter, ReasonFilter, linked("zone_id", "zone"))
    search_fields = ("=event_id", "=source_id")
    search_help_text = "The whole id of the decision, or its place in the stream."
    fields = (
        columns.exact("received_at", "received (UTC)"),
        columns.badge("reason"),
        columns.mono("detail"),
        "state",
        columns.exact("settled_at", "settled (UTC)"),
        columns.mono("source_id", "place in the stream"),
        "event",
        columns.mono("zone_id", "zone"),
        columns.mono("signature"),
        columns.mono("data"),
    )

    def heading(self, obj: AuditQuarantine) -> str:
        return f"{obj.reason}, {obj.event_id or obj.source_id}"

    @admin.display(description="state")
    def state(self, obj: AuditQuarantine) -> SafeString:
        if is_open(obj):
            return display.badge("open", "warn")
        if obj.is_taken:
            return display.badge("taken in", "good")
        return display.badge("dismissed", "calm")

    @admin.display(description="event")
    def event(self, obj: AuditQuarantine) -> SafeString:
        if obj.is_taken and obj.event_id:
            return display.link_to(AuditEvent, obj.event_id, display.mono(obj.event_id))
        return display.mono(obj.event_id)


@overview.figure(9, permission="audit.view_auditquarantine")
def quarantined() -> Figure:
    waiting = AuditQuarantine.objects.filter(settled_at=None)
    number = waiting[: COUNTED + 1].count()
    told = f"more than {COUNTED:,}" if number > COUNTED else f"{number:,}"
    return Figure(
        "Decisions in quarantine",
        told,
        "need a person" if number else "none",
        f"{reverse('admin:audit_auditquarantine_changelist')}?state=open",
        "warn" if number else "good",
    )
