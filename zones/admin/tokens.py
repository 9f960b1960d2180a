"""Admin tokens in the console."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from caracal_site.actors import Actor
from caracal_site.console import columns, display
from caracal_site.console.base import DomainAdmin
from caracal_site.console.disclosure import Disclosure, OnceField
from caracal_site.console.filters import StateFilter, ZoneFilter
from caracal_site.console.forms import ConsoleForm
from caracal_site.console.gestures import REASON_LENGTH, Done, Gesture, Impact
from zones import services
from zones.models import AdminToken, Zone

DAY = 86_400
LIFETIMES = (
    ("", "Until it is revoked"),
    (3_600, "One hour"),
    (DAY, "One day"),
    (30 * DAY, "30 days"),
    (90 * DAY, "90 days"),
    (365 * DAY, "One year"),
)
OVER = Q(expires_at__isnull=False, expires_at__lte=Now())
CONFIGURED = "env-"


class AdminTokenForm(ConsoleForm):
    name = forms.CharField(
        max_length=120, help_text="Who or what will use it: it is what the audit shows."
    )
    zone = forms.ModelChoiceField(
        Zone.objects.live().order_by("name", "pk"),
        required=False,
        help_text="For a token of one zone; leave empty for a global token.",
    )
    lifetime = forms.TypedChoiceField(
        choices=LIFETIMES,
        coerce=int,
        empty_value=None,
        required=False,
        help_text="How long it opens anything.",
    )
    reason = forms.CharField(
        max_length=REASON_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text="Kept in the audit trail.",
    )
    once = OnceField()


class TokenStateFilter(StateFilter):
    """Tokens that open something unless asked otherwise."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("live", "Live"),
            ("expired", "Expired"),
            ("revoked", "Revoked"),
            ("all", "All"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        match self.value():
            case "all":
                return queryset
            case "revoked":
                return queryset.filter(revoked_at__isnull=False)
            case "expired":
                return queryset.filter(OVER, revoked_at=None)
            case _:
                return queryset.filter(~OVER, revoked_at=None)


class RevokeToken(Gesture):
    name = "revoke"
    button = "Revoke"
    question = "Revoke this admin token?"
    explanation = "Whoever uses it is refused from now on. This cannot be undone."

    def offered_for(self, row: AdminToken) -> bool:
        return row.revoked_at is None

    def preview(self, rows: Sequence[AdminToken]) -> Impact:
        used = rows[0].last_used_at
        notes = [f"Last used: {display.near(used)}." if used else "Never used."]
        if rows[0].created_by.startswith(CONFIGURED):
            notes.append(
                "It comes from the configuration: unless that is changed, the next "
                "start puts it in force again."
            )
        return Impact(notes=notes)

    def perform(
        self, actor: Actor, rows: Sequence[AdminToken], answers: dict[str, Any]
    ) -> Done:
        services.revoke_admin_token(rows[0].id, actor=actor, reason=answers["reason"])
        return Done(f"{rows[0]} is revoked.")


@admin.register(AdminToken)
class AdminTokenAdmin(DomainAdmin):
    form = AdminTokenForm
    section, place = "Platform", 1
    entity_type = "admin-tokens"
    secret_fields = ("digest",)
    reveals = True
    gestures = (RevokeToken(),)
    list_select_related = ("zone",)
    list_display = (
        "name",
        "scope",
        columns.related("zone"),
        "capability",
        "state",
        columns.mono("created_by"),
        columns.moment("expires_at"),
        columns.moment("last_used_at"),
        columns.moment("created_at"),
    )
    list_filter = (TokenStateFilter, "scope", "capability", ZoneFilter)
    search_fields = ("name", "created_by", "=id")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            asked = ["once", "name", "scope", "zone", "capability"]
            return [(None, {"fields": [*asked, "lifetime", "reason"]})]
        shown = [
            columns.mono("id", "ID"),
            "name",
            "scope",
            columns.related("zone"),
            "capability",
            "state",
            columns.mono("created_by"),
            columns.exact("created_at"),
            columns.exact("expires_at"),
            columns.exact("last_used_at"),
            columns.exact("revoked_at"),
        ]
        return [(None, {"fields": shown})]

    def create(
        self, actor: Actor, form: ConsoleForm
    ) -> tuple[Model, Disclosure | None]:
        given = form.cleaned_data
        minted = services.mint_admin_token(
            given["name"],
            actor=actor,
            scope=given["scope"],
            capability=given["capability"],
            zone_id=given["zone"].pk if given["zone"] else None,
            ttl_seconds=given["lifetime"],
            reason=given["reason"],
        )
        shown = Disclosure(
            what="Admin token",
            whose=f"{minted.row.name} ({minted.row.pk})",
            secret=minted.plain,
            advice="Send it as Authorization: Bearer … to the Management API.",
            url=display.change_url(AdminToken, minted.row.pk),
        )
        return minted.row, shown

    @admin.display(description="state")
    def state(self, obj: AdminToken) -> SafeString:
        if obj.revoked_at:
            return display.badge("revoked")
        if obj.expires_at and obj.expires_at <= timezone.now():
            return display.badge("expired")
        unusable = obj.zone is not None and obj.zone.archived_at is not None
        return display.badge("zone archived" if unusable else "live")
