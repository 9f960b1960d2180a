"""Answers about zones and what lives in them: columns, and their description.

Rows come from ``.values(*COLUMNS)`` and go out as they are; the serializers here only
describe them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from zones import usage
from zones.models import (
    AdminToken,
    OperationEnforcement,
    ProviderKind,
    RegistrationMethod,
    TokenCapability,
    TokenScope,
)
from zones.services import Ended, IssuedApplication, MintedToken
from zones.token_requests import STATUSES
from zones.usage import Part

ZONE = (
    "id",
    "name",
    "slug",
    "dcr_enabled",
    "operator_coauthor_badge",
    "operator_governed",
    "created_at",
    "updated_at",
)
APPLICATION = (
    "id",
    "zone_id",
    "name",
    "registration_method",
    "traits",
    "expires_at",
    "created_at",
)
# Traits may give authority; tokens of one zone do not see them.
APPLICATION_IN_ZONE = tuple(name for name in APPLICATION if name != "traits")
PROVIDER = (
    "id",
    "zone_id",
    "name",
    "identifier",
    "kind",
    "config_json",
    "secret_config_keys",
    "created_at",
    "updated_at",
)
RESOURCE = (
    "id",
    "zone_id",
    "name",
    "identifier",
    "upstream_url",
    "scopes",
    "credential_provider_id",
    "gateway_application_id",
    "operations",
    "operation_enforcement",
    "created_at",
    "updated_at",
)
ADMIN_TOKEN = (
    "id",
    "name",
    "scope",
    "capability",
    "zone_id",
    "created_by",
    "created_at",
    "expires_at",
    "last_used_at",
    "revoked_at",
)
MINTED = tuple(
    name for name in ADMIN_TOKEN if name not in ("last_used_at", "revoked_at")
)


def columns_of(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The named attributes of a model instance."""
    return {name: getattr(row, name) for name in names}


def issued(application: IssuedApplication, seen: tuple[str, ...]) -> dict[str, Any]:
    """The members of the application that are seen, and its secret."""
    return {
        **columns_of(application.application, seen),
        "client_secret": application.client_secret,
    }


def admin_token(row: dict[str, Any]) -> dict[str, Any]:
    """A token that is good for good has no ``expires_at``."""
    if row["expires_at"] is not None:
        return row
    return {name: value for name, value in row.items() if name != "expires_at"}


def minted(token: MintedToken) -> dict[str, Any]:
    row: AdminToken = token.row
    return {**admin_token(columns_of(row, MINTED)), "token": token.plain}


def parts(found: Iterable[Part]) -> dict[str, Any]:
    return {
        part.kind: {
            "count": part.count,
            "first": [{"id": one.id, "name": one.name} for one in part.first],
        }
        for part in found
    }


def used_by(row: Any) -> dict[str, Any]:
    """What uses a live row."""
    found = usage.used_by(row)
    return {
        "id": row.id,
        "total": sum(part.count for part in found),
        "used_by": parts(found),
    }


def preview(row: Any, ended: Ended) -> dict[str, Any]:
    """What the end of ``row`` would end, and what would stay behind it broken."""
    foreseen = usage.foreseen(row, ended)
    return {
        "id": row.id,
        "dry_run": True,
        "ends": parts(foreseen.ends),
        "breaks": parts(foreseen.breaks),
    }


def counts(of: str, *names: str) -> serializers.Serializer:
    """How many there are of something, by name."""
    fields: dict[str, Any] = {name: serializers.IntegerField() for name in names}
    return inline_serializer(f"ZoneOverview{of.title()}", fields)


class NamedShape(serializers.Serializer):
    """One thing, by id and by the name people know it by."""

    id = serializers.CharField()
    name = serializers.CharField()


class PartShape(serializers.Serializer):
    """All of one kind: how many, and the first of them."""

    count = serializers.IntegerField()
    first = NamedShape(many=True)


class UsedByShape(serializers.Serializer):
    """What uses a thing, by kind: agents, delegations and so on."""

    id = serializers.CharField()
    total = serializers.IntegerField()
    used_by = serializers.DictField(child=PartShape())


class PreviewShape(serializers.Serializer):
    """What would end with a thing, and what would stay and lose what it needs."""

    id = serializers.CharField()
    dry_run = serializers.BooleanField()
    ends = serializers.DictField(child=PartShape())
    breaks = serializers.DictField(child=PartShape())


class ZoneShape(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()
    slug = serializers.CharField()
    dcr_enabled = serializers.BooleanField()
    operator_coauthor_badge = serializers.BooleanField()
    operator_governed = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class DcrStatusShape(serializers.Serializer):
    id = serializers.CharField()
    dcr_enabled = serializers.BooleanField()
    live_dcr_applications = serializers.IntegerField()


class EventShape(serializers.Serializer):
    id = serializers.CharField()
    event_type = serializers.CharField()
    request_id = serializers.CharField(allow_null=True)
    decision = serializers.CharField(allow_null=True)
    metadata_json = serializers.JSONField(allow_null=True)
    occurred_at = serializers.DateTimeField()


OverviewShape = inline_serializer(
    "ZoneOverview",
    {
        "zone_id": serializers.CharField(),
        "generated_at": serializers.DateTimeField(),
        "applications": counts("applications", "total", "expired", "expiring_soon"),
        "resources": counts("resources", "total", "unenforced"),
        "providers": counts("providers", "total"),
        "policy_sets": inline_serializer(
            "ZoneOverviewPolicySets",
            {
                "total": serializers.IntegerField(),
                "enforcing": serializers.IntegerField(),
                "active_name": serializers.CharField(allow_null=True),
            },
        ),
        "sessions": counts("sessions", "active"),
        "decisions_24h": counts("decisions", "allowed", "denied"),
        "recent_events": EventShape(many=True),
    },
)


class ApplicationShape(serializers.Serializer):
    id = serializers.CharField()
    zone_id = serializers.CharField()
    name = serializers.CharField()
    registration_method = serializers.ChoiceField(RegistrationMethod.choices)
    traits = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Global tokens only."
    )
    expires_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class ApplicationIssuedShape(ApplicationShape):
    client_secret = serializers.CharField(help_text="Shown this once.")


class ProviderShape(serializers.Serializer):
    id = serializers.CharField()
    zone_id = serializers.CharField()
    name = serializers.CharField()
    identifier = serializers.CharField()
    kind = serializers.ChoiceField(ProviderKind.choices)
    config_json = serializers.DictField()
    secret_config_keys = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ProviderTestShape(serializers.Serializer):
    status = serializers.ChoiceField(STATUSES)
    detail = serializers.CharField()
    checked_at = serializers.DateTimeField()


class OperationShape(serializers.Serializer):
    method = serializers.CharField()
    path = serializers.CharField()
    scope = serializers.CharField()


class ResourceShape(serializers.Serializer):
    id = serializers.CharField()
    zone_id = serializers.CharField()
    name = serializers.CharField()
    identifier = serializers.CharField()
    upstream_url = serializers.CharField(allow_null=True)
    scopes = serializers.ListField(child=serializers.CharField())
    credential_provider_id = serializers.CharField()
    gateway_application_id = serializers.CharField(allow_null=True)
    operations = OperationShape(many=True)
    operation_enforcement = serializers.ChoiceField(OperationEnforcement.choices)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class AdminTokenShape(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()
    scope = serializers.ChoiceField(TokenScope.choices)
    capability = serializers.ChoiceField(TokenCapability.choices)
    zone_id = serializers.CharField(allow_null=True)
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(
        required=False, help_text="Tokens that expire only."
    )
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class AdminTokenMintedShape(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()
    scope = serializers.ChoiceField(TokenScope.choices)
    capability = serializers.ChoiceField(TokenCapability.choices)
    zone_id = serializers.CharField(allow_null=True)
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(
        required=False, help_text="Tokens that expire only."
    )
    token = serializers.CharField(help_text="Shown this once.")
