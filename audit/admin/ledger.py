"""The ledgers of the zones in the console, and what was not taken into them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from audit import retention
from audit.admin.retention import retention_url
from audit.admin.trail import with_zone_name, zone_of
from audit.ledger import checking, heads, retiring
from audit.models import AuditChain, AuditEvent
from caracal_site import stores
from caracal_site.actors import Actor
from caracal_site.console import columns, display, overview
from caracal_site.console.base import EvidenceAdmin
from caracal_site.console.filters import ZoneFilter
from caracal_site.console.gestures import Affected, Done, Gesture, Impact
from caracal_site.console.overview import Figure
from caracal_site.console.panels import Facts, Panel, Table


class Verify(Gesture):
    name = "verify"
    button = "Verify now"
    question = "Verify the whole ledger of this zone?"
    explanation = (
        "Every row is hashed again and compared with its link, with its neighbours and"
        " with every head that was published. Nothing is changed. A million rows take"
        " about half a minute."
    )
    needs_reason = False
    is_harmful = False

    def preview(self, rows: Sequence[AuditChain]) -> Impact:
        return Impact([Affected("Rows to verify", sum(row.seq for row in rows))])

    def perform(
        self, actor: Actor, rows: Sequence[AuditChain], answers: dict[str, Any]
    ) -> Done:
        client = stores.redis_client()
        found = checking.check(rows[0].zone_id, actor=actor, client=client)
        told = display.counted(found.rows, "row")
        if found.broken:
            faults = display.counted(found.broken, "fault")
            return Done(f"{told} verified: {faults} found.", is_good=False)
        if not found.head_known:
            sentence = (
                f"{told} verified, but there is no published head to compare with."
            )
            return Done(sentence, is_good=False)
        return Done(f"{told} verified, nothing was altered.")


@admin.register(AuditChain)
class AuditChainAdmin(EvidenceAdmin):
    """How far the ledger of each zone is sealed, and whether it holds."""

    section, place = "Evidence", 4
    entity_type = "ledgers"
    ordering = ("-sealed_at",)
    gestures = (Verify(),)
    list_display = (
        "zone",
        columns.column("seq", "{:,}".format, label="rows"),
        columns.moment("sealed_at", "sealed"),
        "state",
        columns.moment("verified_at", "verified"),
    )
    list_filter = (ZoneFilter,)
    fields = (
        "zone",
        columns.column("seq", "{:,}".format, label="rows"),
        columns.exact("sealed_at", "sealed (UTC)"),
        "state",
        columns.exact("verified_at", "verified (UTC)"),
        "root",
        columns.as_json("head_json", "signed head"),
        "key",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return with_zone_name(super().get_queryset(request))

    def may_perform(self, request: HttpRequest) -> bool:
        """Verifying changes nothing: whoever sees a ledger may."""
        return self.has_view_permission(request)

    def heading(self, obj: Any) -> str:
        return f"Ledger of {getattr(obj, 'zone_name', None) or obj.zone_id}"

    def timeline_rows(self, obj: Any) -> QuerySet[Any]:
        """Without what happened in the zone whose id it has."""
        return super().timeline_rows(obj).filter(entity_type=self.entity_type)

    @admin.display(description="zone")
    def zone(self, obj: Any) -> SafeString:
        return zone_of(obj)

    @admin.display(description="state")
    def state(self, obj: AuditChain) -> SafeString:
        told = obj.verification_json
        if not told:
            return display.badge("not verified yet", "calm")
        if told["broken"]:
            faults = display.counted(told["broken"], "fault")
            return display.badge(f"broken: {faults}", "bad")
        return display.badge("intact", "good")

    @admin.display(description="Merkle root")
    def root(self, obj: AuditChain) -> SafeString:
        return display.mono((obj.head_json or {}).get("root_hash"))

    @admin.display(description="public key")
    def key(self, obj: AuditChain) -> SafeString:
        if not heads.is_signing():
            return display.EMPTY
        return format_html("<pre>{}</pre>", heads.public_key_pem(obj.head_json))

    def panels(self, request: HttpRequest, obj: AuditChain) -> Iterator[Panel]:
        told = obj.verification_json or {}
        if told.get("faults"):
            yield Table(
                title="What the last verification found",
                headings=("Number", "Event", "Fault"),
                rows=[
                    (
                        str(fault["seq"]),
                        display.link_to(AuditEvent, fault["event_id"])
                        if fault["event_id"]
                        else display.EMPTY,
                        fault["sentence"],
                    )
                    for fault in told["faults"]
                ],
            )
        yield _retention(obj)


def _retention(obj: AuditChain) -> Facts:
    found = retention.of_zone(obj.zone_id)
    days = display.counted(found.days, "day")
    kept = f"{days}, the platform's" if found.is_inherited else days
    removed = retiring.removed_before(obj)
    facts: list[tuple[str, SafeString | str]] = [
        ("Decisions are kept for", kept),
        ("Legal hold", display.badge("held", "warn") if found.legal_hold else "no"),
    ]
    if found.shortens_at is not None:
        facts.append(("Counts from", display.moment(found.shortens_at, exact=True)))
    if removed is not None:
        facts.append(("Removed before", display.moment(removed, exact=True)))
    note = display.link(retention_url(obj.zone_id), "How long it is kept, and holds")
    return Facts(title="Retention", facts=facts, note=note)


@overview.figure(8, permission="audit.view_auditchain")
def ledgers() -> Figure:
    """Whether the ledgers hold, as far as they were verified."""
    broken = AuditChain.objects.filter(verification_json__broken__gt=0).count()
    day_old = timezone.now() - 2 * checking.EVERY
    late = AuditChain.objects.filter(verified_at__lt=day_old).count()
    url = reverse("admin:audit_auditchain_changelist")
    if broken:
        return Figure("Ledgers", f"{broken} broken", "look at once", url, "bad")
    note = f"{late} not verified since yesterday" if late else "verified every day"
    return Figure("Ledgers", "intact", note, url, "warn" if late else "good")
