"""Admin tokens in the console."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.safestring import SafeString

from caracal_site.actors import Actor
from caracal_site.console import columns, display
from caracal_site.console.base import DomainAdmin
from caracal_site.console.disclosure import Disclosure, OnceField
from caracal_site.console.filters import RevokedFilter, ZoneFilter
from caracal_site.console.forms import ConsoleForm
from caracal_site.console.gestures import Done, Gesture, Impact
from zones import services
from zones.models import AdminToken, Zone


class AdminTokenForm(ConsoleForm):
    name = forms.CharField(
        max_length=120, help_text="Who or what will use it: it is what the audit shows."
    )
    zone = forms.ModelChoiceField(
        Zone.objects.live().order_by("name", "pk"),
        required=False,
        help_text="For a token of one zone; leave empty for a global token.",
    )
    once = OnceField()


class RevokeToken(Gesture):
    name = "revoke"
    button = "Revoke"
    question = "Revoke this admin token?"
    explanation = "Whoever uses it is refused from now on. This cannot be undone."

    def offered_for(self, row: AdminToken) -> bool:
        return row.revoked_at is None

    def preview(self, rows: Sequence[AdminToken]) -> Impact:
        used = rows[0].last_used_at
        return Impact(
            notes=[f"Last used: {display.near(used)}." if used else "Never used."]
        )

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
        columns.moment("last_used_at"),
        columns.moment("created_at"),
    )
    list_filter = (RevokedFilter, "scope", "capability", ZoneFilter)
    search_fields = ("name", "created_by", "=id")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["once", "name", "scope", "zone", "capability"]})]
        shown = [
            columns.mono("id", "ID"),
            "name",
            "scope",
            columns.related("zone"),
            "capability",
            columns.mono("created_by"),
            columns.exact("created_at"),
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
        unusable = obj.zone is not None and obj.zone.archived_at is not None
        return display.badge("zone archived" if unusable else "live")
