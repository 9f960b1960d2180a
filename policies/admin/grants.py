"""Grants in the console."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.safestring import SafeString

from agents.models import AgentSession
from caracal_site.actors import Actor
from caracal_site.console import columns, display
from caracal_site.console.disclosure import Disclosure
from caracal_site.console.filters import StateFilter, ZoneFilter, linked
from caracal_site.console.forms import LinesField
from caracal_site.console.gestures import Affected, Done, Gesture, Impact, examples
from caracal_site.console.scoped import ScopedAdmin, ScopedForm
from delegations.models import DelegationEdge
from policies.grants import rules, services
from policies.grants.models import Grant, GrantStatus
from tokens.models import Session
from zones.models import Application, Resource

GIVEN = ("user_id", "application", "resource", "scopes", "expires_at")


class StandingFilter(StateFilter):
    """Those in force unless asked otherwise."""

    field, ended = "ended_at", "ended"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "In force"), (self.ended, "Ended"), ("all", "All")]


class ScopesField(LinesField):
    """Scopes that can be granted, one a line."""

    def run_validators(self, value: Any) -> None:
        for scope in value:
            if not rules.is_scope(scope):
                raise forms.ValidationError(f"This cannot be granted: {scope}")
        if len(value) > rules.MAX_SCOPES:
            raise forms.ValidationError(f"At most {rules.MAX_SCOPES} scopes.")


class GrantForm(ScopedForm):
    user_id = forms.CharField(
        max_length=rules.MAX_USER, label="User", help_text="As tokens name the user."
    )
    application = forms.ModelChoiceField(Application.objects.none())
    resource = forms.ModelChoiceField(Resource.objects.none())
    scopes = ScopesField(help_text="Scopes of the resource, one a line.")
    expires_at = forms.DateTimeField(
        required=False, label="Ends", help_text="In UTC; never when empty."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices: dict[str, Any] = {
            "application": Application.objects.live().unexpired(),
            "resource": Resource.objects.live(),
        }
        for name, rows in choices.items():
            if name in self.fields:
                field: Any = self.fields[name]
                field.queryset = rows.in_zone(self.zone_id).order_by("name", "pk")


class RevokeGrant(Gesture):
    name = "revoke"
    button = "Revoke"
    question = "Revoke this grant?"
    explanation = (
        "Unless the user has granted other things to the application, the user's"
        " sessions with it end, and the agents on them. Otherwise only delegations over"
        " this resource do. Sessions with other applications, and those of others, go"
        " on. This cannot be undone."
    )

    def offered_for(self, row: Grant) -> bool:
        return row.status == GrantStatus.ACTIVE

    def preview(self, rows: Sequence[Grant]) -> Impact:
        ended = services.foresee_grant(rows[0]).ended
        return Impact(
            [
                Affected(what, len(ids), examples(model, ids) if model else ())
                for what, ids, model in (
                    ("Authority sessions revoked", ended.sessions, Session),
                    ("Agents that end", ended.agents, AgentSession),
                    ("Delegations revoked", ended.delegations, DelegationEdge),
                    ("Invocations canceled", ended.invocations, None),
                )
            ],
            notes=["The grant itself is a record: decisions are made by policies."],
        )

    def perform(
        self, actor: Actor, rows: Sequence[Grant], answers: dict[str, Any]
    ) -> Done:
        ended = services.revoke_grant(
            rows[0].id, zone_id=rows[0].zone_id, actor=actor, reason=answers["reason"]
        ).ended
        sessions = display.counted(len(ended.sessions), "session")
        agents = display.counted(len(ended.agents), "agent")
        return Done(f"The grant is revoked; {sessions} and {agents} ended.")


@admin.register(Grant)
class GrantAdmin(ScopedAdmin):
    """What users let applications do: records, which no decision is made from."""

    form = GrantForm
    section, place = "Authority", 7
    entity_type = "grants"
    gestures = (RevokeGrant(),)
    list_select_related = ("zone", "application", "resource")
    list_display = (
        columns.column("user_id", str, label="user"),
        columns.related("application"),
        columns.related("resource"),
        columns.words("scopes"),
        "state",
        columns.moment("expires_at", "ends"),
        columns.related("zone"),
        columns.moment("created_at"),
    )
    list_filter = (
        StandingFilter,
        ZoneFilter,
        linked("application_id", "application"),
        linked("resource_id", "resource"),
        linked("user_id", "user"),
    )
    search_fields = ("user_id", "application__name", "resource__name", "=id")
    readonly_fields = (
        columns.mono("id", "ID"),
        columns.related("zone"),
        "state",
        columns.exact("created_at"),
        columns.exact("ended_at", "ended"),
        columns.mono("ended_reason", "why it ended"),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["zone", *GIVEN]})]
        shown = [
            columns.mono("user_id", "user"),
            columns.related("application"),
            columns.related("resource"),
            columns.words("scopes"),
            columns.exact("expires_at", "ends"),
        ]
        return [
            (None, {"fields": shown}),
            ("Record", {"classes": ["record"], "fields": list(self.readonly_fields)}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return self.readonly_fields
        return [
            *self.get_fieldsets(request, obj)[0][1]["fields"],
            *self.readonly_fields,
        ]

    def heading(self, obj: Grant) -> str:
        return f"{obj.user_id} to {obj.application}"

    def is_ended(self, obj: Grant) -> bool:
        return True

    def create(self, actor: Actor, form: Any) -> tuple[Model, Disclosure | None]:
        given = form.cleaned_data
        grant = services.create_grant(
            zone_id=given["zone"].pk,
            actor=actor,
            application_id=given["application"].pk,
            user_id=given["user_id"],
            resource_id=given["resource"].pk,
            scopes=given["scopes"],
            expires_at=given["expires_at"],
        )
        return grant, None

    @admin.display(description="state")
    def state(self, obj: Grant) -> SafeString:
        return display.badge(obj.status)
