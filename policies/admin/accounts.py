"""The accounts users have connected at providers, in the console. No page has a token
of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from caracal_site.actors import Actor
from caracal_site.console import columns, display
from caracal_site.console.disclosure import Disclosure, OnceField
from caracal_site.console.filters import ZoneFilter, linked
from caracal_site.console.gestures import Done, Gesture, Impact
from caracal_site.console.panels import Facts, Panel
from caracal_site.console.scoped import ScopedAdmin, ScopedForm
from policies.admin.grants import ScopesField, StandingFilter
from policies.api import connecting
from policies.grants import rules, services
from policies.grants.models import GrantStatus, ProviderGrant
from policies.grants.services import Begun
from zones.models import ProviderKind, Resource

ADVICE = (
    "Give this link to the user, who opens it in a browser, is asked whether it is the"
    " right account, and signs in at the provider. It works for ten minutes, once, and"
    " only in the browser that opens it first."
)
GIVEN = ("user_id", "resource", "scopes")


def disclosed(begun: Begun, zone_id: str, user_id: str, url: str) -> Disclosure:
    return Disclosure(
        what="Link to connect an account",
        whose=user_id,
        secret=connecting.start_url(zone_id, begun),
        advice=ADVICE,
        url=url,
    )


class ConnectForm(ScopedForm):
    once = OnceField()
    user_id = forms.CharField(
        max_length=rules.MAX_USER, label="User", help_text="As tokens name the user."
    )
    resource = forms.ModelChoiceField(
        Resource.objects.none(),
        help_text="One whose provider people sign in at.",
    )
    scopes = ScopesField(
        help_text="Scopes of the resource the account may be used for, one a line."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "resource" in self.fields:
            field: Any = self.fields["resource"]
            kind = ProviderKind.OAUTH2_AUTHORIZATION_CODE
            live = Resource.objects.in_zone(self.zone_id).live()
            usable = live.filter(credential_provider__kind=kind)
            field.queryset = usable.order_by("name", "pk")


class Reconnect(Gesture):
    name = "reconnect"
    button = "Connect again"
    question = "Have the user connect the account again?"
    explanation = (
        "Makes a link for the user. What is connected stays in use until the user has"
        " signed in, and is replaced then."
    )
    is_harmful = False
    needs_reason = False
    reveals = True

    def preview(self, rows: Sequence[ProviderGrant]) -> Impact:
        return Impact()

    def perform(
        self, actor: Actor, rows: Sequence[ProviderGrant], answers: dict[str, Any]
    ) -> Done:
        row = rows[0]
        begun = services.begin_authorization(
            zone_id=row.zone_id,
            actor=actor,
            user_id=row.user_id,
            resource_id=row.resource_id,
            provider_id=row.provider_id,
            scopes=row.scopes,
        )
        back = display.change_url(ProviderGrant, row.pk)
        link = disclosed(begun, row.zone_id, row.user_id, back)
        return Done("The link is made.", link)


class Disconnect(Gesture):
    name = "disconnect"
    button = "Disconnect"
    question = "Disconnect this account?"
    explanation = (
        "Its tokens are erased here at once, and the provider is told to revoke them if"
        " it is configured to be. Agents cannot act with the account any more. This"
        " cannot be undone; the user can connect it again."
    )

    def offered_for(self, row: ProviderGrant) -> bool:
        return row.status == GrantStatus.ACTIVE

    def preview(self, rows: Sequence[ProviderGrant]) -> Impact:
        config = rows[0].provider.config_json
        told = bool(config.get("revocation_endpoint"))
        return Impact(
            notes=[
                "The provider is told to revoke the tokens."
                if told
                else "The provider has no revocation endpoint: it is not told."
            ]
        )

    def perform(
        self, actor: Actor, rows: Sequence[ProviderGrant], answers: dict[str, Any]
    ) -> Done:
        row = rows[0]
        services.revoke_provider_grant(
            zone_id=row.zone_id,
            actor=actor,
            user_id=row.user_id,
            resource_id=row.resource_id,
            provider_id=row.provider_id,
            reason=answers["reason"],
        )
        return Done(f"The account of {row.user_id} at {row.provider} is disconnected.")


@admin.register(ProviderGrant)
class ProviderGrantAdmin(ScopedAdmin):
    """Adding one makes a link for its user; tokens come from the provider alone."""

    form = ConnectForm
    reveals = True
    section, place = "Authority", 8
    entity_type = "provider-grants"
    secret_fields = ("sealed_tokens",)
    gestures = (Reconnect(), Disconnect())
    list_select_related = ("zone", "provider", "resource")
    list_display = (
        columns.column("user_id", str, label="user"),
        columns.related("provider"),
        columns.related("resource"),
        columns.words("scopes"),
        "state",
        columns.moment("expires_at", "token ends"),
        "is_renewable",
        columns.related("zone"),
        columns.moment("created_at", "connected"),
    )
    list_filter = (
        StandingFilter,
        ZoneFilter,
        linked("provider_id", "provider"),
        linked("resource_id", "resource"),
        linked("user_id", "user"),
    )
    search_fields = ("user_id", "provider__name", "resource__name", "=id")
    readonly_fields = (
        columns.mono("user_id", "user"),
        columns.related("provider"),
        columns.related("resource"),
        columns.words("scopes"),
        "state",
        columns.mono("id", "ID"),
        columns.related("zone"),
        columns.exact("created_at", "connected"),
        columns.exact("updated_at", "changed"),
        columns.exact("ended_at", "ended"),
        columns.mono("ended_reason", "why it ended"),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["once", "zone", *GIVEN]})]
        shown, kept = self.readonly_fields[:5], self.readonly_fields[5:]
        return [
            (None, {"fields": list(shown)}),
            ("Record", {"classes": ["record"], "fields": list(kept)}),
        ]

    def panels(self, request: HttpRequest, obj: ProviderGrant) -> Iterable[Panel]:
        if obj.status != GrantStatus.ACTIVE:
            return
        asked = set(obj.provider.config_json.get("scopes") or ())
        lacks = sorted(asked - set(obj.upstream_scopes)) if obj.upstream_scopes else []
        yield Facts(
            title="At the provider",
            facts=[
                ("Granted there", display.words(obj.upstream_scopes)),
                ("Not granted there", display.words(lacks)),
                ("Account", display.mono(obj.upstream_account)),
                ("Token ends", display.moment(obj.expires_at, exact=True)),
                ("Renewed by itself", "yes" if obj.is_renewable else "no"),
                ("Renewed last", display.moment(obj.refreshed_at, exact=True)),
            ],
        )

    def heading(self, obj: ProviderGrant) -> str:
        return f"{obj.user_id} at {obj.provider}"

    def create(self, actor: Actor, form: Any) -> tuple[Model, Disclosure | None]:
        given = form.cleaned_data
        zone_id, resource = given["zone"].pk, given["resource"]
        begun = services.begin_authorization(
            zone_id=zone_id,
            actor=actor,
            user_id=given["user_id"],
            resource_id=resource.pk,
            provider_id=resource.credential_provider_id,
            scopes=given["scopes"],
        )
        # The grant is made when the user has signed in.
        to_come = ProviderGrant(
            zone_id=zone_id, user_id=given["user_id"], resource=resource
        )
        back = display.change_url(Resource, resource.pk)
        return to_come, disclosed(begun, zone_id, given["user_id"], back)

    @admin.display(description="state")
    def state(self, obj: ProviderGrant) -> SafeString:
        over = obj.expires_at is not None and obj.expires_at <= timezone.now()
        if obj.status == GrantStatus.ACTIVE and over and not obj.is_renewable:
            return display.badge(GrantStatus.EXPIRED)
        return display.badge(obj.status)
