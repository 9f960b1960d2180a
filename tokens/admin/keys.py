"""Signing keys in the console."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin

from caracal_site.actors import Actor
from caracal_site.console import columns
from caracal_site.console.base import EvidenceAdmin
from caracal_site.console.filters import ZoneFilter
from caracal_site.console.gestures import Done, Gesture, Impact
from tokens import services
from tokens.models import SigningKey, SigningKeyState


class WithdrawKey(Gesture):
    name = "withdraw"
    button = "Withdraw"
    question = "Withdraw this signing key?"
    explanation = (
        "For a key that may be stolen: every token it signed is worthless at once. If"
        " it is the one that signs, the next key signs from now on. This cannot be"
        " undone."
    )

    def offered_for(self, row: SigningKey) -> bool:
        return row.state != SigningKeyState.WITHDRAWN

    def preview(self, rows: Sequence[SigningKey]) -> Impact:
        if rows[0].state != SigningKeyState.SIGNING:
            return Impact(phrase=f"withdraw v{rows[0].version}")
        note = "It is the key that signs: callers need new tokens right away."
        return Impact(notes=[note], phrase=f"withdraw v{rows[0].version}")

    def perform(
        self, actor: Actor, rows: Sequence[SigningKey], answers: dict[str, Any]
    ) -> Done:
        services.withdraw_signing_key(
            rows[0].id, zone_id=rows[0].zone_id, actor=actor, reason=answers["reason"]
        )
        return Done(f"Version {rows[0].version} is withdrawn.")


@admin.register(SigningKey)
class SigningKeyAdmin(EvidenceAdmin):
    """The public part of each key; the private one is sealed and never loaded."""

    section, place = "Authority", 4
    entity_type = "signing-keys"
    secret_fields = ("sealed_private_key",)
    gestures = (WithdrawKey(),)
    list_select_related = ("zone",)
    list_display = (
        columns.short("id", "key id"),
        columns.related("zone"),
        "version",
        columns.badge("state"),
        columns.moment("created_at"),
        columns.moment("withdrawn_at"),
    )
    list_filter = ("state", ZoneFilter)
    search_fields = ("id__startswith",)
    search_help_text = "The beginning of a key's id (kid)."
    fields = (
        columns.mono("id", "key ID (kid)"),
        columns.related("zone"),
        "version",
        columns.badge("state"),
        columns.as_json("public_jwk", "public key"),
        columns.exact("created_at"),
        columns.exact("signing_at", "began to sign"),
        columns.exact("retired_at"),
        columns.exact("withdrawn_at"),
    )

    def heading(self, obj: SigningKey) -> str:
        return f"{obj.zone.name}, version {obj.version}"
