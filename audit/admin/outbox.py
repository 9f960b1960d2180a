"""The outbox in the console."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import Min, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from audit import services
from audit.admin.trail import with_zone_name, zone_of
from audit.models import AdminAuditEvent, OutboxEvent
from caracal_site.actors import Actor
from caracal_site.console import columns, display, overview
from caracal_site.console.base import EvidenceAdmin
from caracal_site.console.filters import ZoneFilter, linked
from caracal_site.console.gestures import Affected, Done, Gesture, Impact, examples
from caracal_site.console.overview import Figure

# Unsealed or unpublished longer than this is worth a look.
LATE_SECONDS = 30


class Requeue(Gesture):
    name = "requeue"
    button = "Requeue"
    question = "Queue these events for publication again?"
    explanation = (
        "An event is parked when it could not be encoded. Once the cause is mended it"
        " can be queued again; it goes out behind what its zone has announced since."
    )
    is_harmful = False
    is_bulk = True

    def offered_for(self, row: OutboxEvent) -> bool:
        return row.parked_at is not None

    def preview(self, rows: Sequence[OutboxEvent]) -> Impact:
        ids = [row.id for row in rows]
        return Impact([Affected("Events queued", len(ids), examples(OutboxEvent, ids))])

    def perform(
        self, actor: Actor, rows: Sequence[OutboxEvent], answers: dict[str, Any]
    ) -> Done:
        queued = services.requeue_parked(
            [row.id for row in rows], actor=actor, reason=answers["reason"]
        )
        return Done(f"{display.counted(len(queued), 'event')} queued again.")


class PublicationFilter(SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        return [
            ("pending", "Pending"),
            ("parked", "Parked"),
            ("published", "Published"),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Any]:
        rows: QuerySet[Any] = queryset
        chosen: dict[str | None, QuerySet[Any]] = {
            "pending": queryset.pending(),
            "parked": queryset.parked(),
            "published": queryset.filter(published_at__isnull=False),
        }
        return chosen.get(self.value(), rows)


@admin.register(OutboxEvent)
class OutboxEventAdmin(EvidenceAdmin):
    """News on its way to its stream."""

    section, place = "Evidence", 3
    entity_type = "outbox-events"
    gestures = (Requeue(),)
    list_display = (
        columns.short("id", "event"),
        columns.mono("topic"),
        "state",
        "zone",
        columns.column("zone_seq", str, label="number"),
        "attempts",
        columns.moment("created_at"),
        columns.moment("published_at"),
    )
    list_filter = (
        PublicationFilter,
        ZoneFilter,
        linked("topic", "topic"),
        linked("request_id", "request"),
    )
    search_fields = ("=id", "=request_id")
    search_help_text = "The whole id of an event, or of the request that caused it."
    fieldsets = (
        (
            None,
            {
                "fields": (
                    columns.mono("topic"),
                    "state",
                    "zone",
                    columns.column("zone_seq", str, label="number in its zone"),
                    columns.mono("dedupe_key", "key"),
                    columns.as_json("payload_json", "payload"),
                    columns.mono("last_error"),
                )
            },
        ),
        (
            "Record",
            {
                "fields": (
                    columns.mono("id", "ID"),
                    columns.mono("producer"),
                    "cause",
                    "attempts",
                    columns.exact("created_at"),
                    columns.exact("published_at"),
                    columns.exact("parked_at"),
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return with_zone_name(super().get_queryset(request))

    @admin.display(description="state")
    def state(self, obj: OutboxEvent) -> SafeString:
        if obj.parked_at is not None:
            return display.badge("parked")
        return display.badge("published" if obj.published_at else "pending")

    @admin.display(description="zone")
    def zone(self, obj: Any) -> SafeString:
        return zone_of(obj)

    @admin.display(description="request")
    def cause(self, obj: OutboxEvent) -> SafeString:
        url = reverse("admin:audit_adminauditevent_changelist")
        return display.link(
            f"{url}?request={obj.request_id}", display.mono(obj.request_id)
        )


@overview.figure(5, permission="audit.view_outboxevent")
def waiting_events() -> Figure:
    pending = OutboxEvent.objects.pending()
    number = pending.count()
    oldest = pending.aggregate(at=Min("created_at"))["at"]
    age = (timezone.now() - oldest).total_seconds() if oldest else 0
    return Figure(
        "Events pending",
        f"{number:,}",
        f"oldest {display.span(age)}" if number else "all published",
        f"{reverse('admin:audit_outboxevent_changelist')}?state=pending",
        "warn" if age > LATE_SECONDS else "good",
    )


@overview.figure(6, permission="audit.view_outboxevent")
def parked_events() -> Figure:
    number = OutboxEvent.objects.parked().count()
    return Figure(
        "Events parked",
        f"{number:,}",
        "need a person" if number else "none",
        f"{reverse('admin:audit_outboxevent_changelist')}?state=parked",
        "bad" if number else "good",
    )


@overview.figure(7, permission="audit.view_adminauditevent")
def audit_chain() -> Figure:
    """How far sealing is behind. ``verify_audit`` checks what is sealed."""
    unsealed = AdminAuditEvent.objects.unsealed()
    number = unsealed.count()
    oldest = unsealed.aggregate(at=Min("occurred_at"))["at"]
    age = (timezone.now() - oldest).total_seconds() if oldest else 0
    late = age > LATE_SECONDS
    note = (
        f"{display.counted(number, 'row')} to seal, oldest {display.span(age)}"
        if number
        else "every row"
    )
    value = "sealing is late" if late else "sealed"
    url = reverse("admin:audit_adminauditevent_changelist")
    return Figure("Audit chain", value, note, url, "bad" if late else "good")
