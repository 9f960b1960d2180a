"""Answers about grants and connected accounts: members, and their description."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from policies.grants.models import Grant, GrantStatus
from policies.grants.services import Revocation
from zones import usage
from zones.usage import Part

GRANT = (
    "id",
    "zone_id",
    "application_id",
    "user_id",
    "resource_id",
    "scopes",
    "status",
    "expires_at",
    "created_at",
)
LISTED_GRANT = (
    "id",
    "zone_id",
    "application_id",
    "user_id",
    "resource_id",
    "provider_id",
    "application_name",
    "resource_name",
    "provider_name",
    "provider_kind",
    "scopes",
    "status",
    "expires_at",
    "created_at",
)
PROVIDER_GRANT = (
    "id",
    "zone_id",
    "user_id",
    "resource_id",
    "provider_id",
    "scopes",
    "status",
    "expires_at",
    "created_at",
    "updated_at",
)
# What is told to whoever may look, besides.
LISTED_PROVIDER_GRANT = (
    *PROVIDER_GRANT,
    "is_renewable",
    "refreshed_at",
    "upstream_scopes",
)
# The browser that finished a connection has been shown whose it is, and is nobody the
# platform knows.
CONNECTED = tuple(name for name in PROVIDER_GRANT if name != "user_id")


def columns_of(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The named attributes of a model instance."""
    return {name: getattr(row, name) for name in names}


def granted(row: dict[str, Any]) -> dict[str, Any]:
    """A grant that is good for good has no ``expires_at``."""
    if row["expires_at"] is not None:
        return row
    return {name: value for name, value in row.items() if name != "expires_at"}


def grant(row: Grant) -> dict[str, Any]:
    return granted(columns_of(row, GRANT))


def preview(revocation: Revocation) -> dict[str, Any]:
    """What would end with a grant."""
    foreseen = usage.foreseen(revocation.grant, revocation.ended)
    return {
        "id": revocation.grant.id,
        "dry_run": True,
        "ends": _parts(foreseen.ends),
        "breaks": _parts(foreseen.breaks),
    }


def _parts(found: Iterable[Part]) -> dict[str, Any]:
    return {
        part.kind: {
            "count": part.count,
            "first": [{"id": one.id, "name": one.name} for one in part.first],
        }
        for part in found
    }


def _texts() -> serializers.ListField:
    return serializers.ListField(child=serializers.CharField())


class GrantShape(serializers.Serializer):
    """The record of what a user granted. Decisions are made by policies, not by it."""

    id = serializers.CharField()
    zone_id = serializers.CharField()
    application_id = serializers.CharField()
    user_id = serializers.CharField()
    resource_id = serializers.CharField()
    scopes = _texts()
    status = serializers.ChoiceField(GrantStatus.choices)
    expires_at = serializers.DateTimeField(
        required=False, help_text="Grants that expire only."
    )
    created_at = serializers.DateTimeField()


class ListedGrantShape(GrantShape):
    provider_id = serializers.CharField()
    application_name = serializers.CharField()
    resource_name = serializers.CharField()
    provider_name = serializers.CharField()
    provider_kind = serializers.CharField()


class ConnectedShape(serializers.Serializer):
    id = serializers.CharField()
    zone_id = serializers.CharField()
    resource_id = serializers.CharField()
    provider_id = serializers.CharField()
    scopes = _texts()
    status = serializers.ChoiceField(GrantStatus.choices)
    expires_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ProviderGrantShape(ConnectedShape):
    user_id = serializers.CharField()


class ListedProviderGrantShape(ProviderGrantShape):
    is_renewable = serializers.BooleanField(help_text="It has a refresh token.")
    refreshed_at = serializers.DateTimeField(allow_null=True)
    upstream_scopes = serializers.ListField(
        child=serializers.CharField(), help_text="What the provider granted."
    )


class AuthorizationShape(serializers.Serializer):
    authorization_url = serializers.URLField(
        help_text="For the user's browser; leads to the provider."
    )
    state = serializers.CharField()
    expires_at = serializers.DateTimeField()


GrantPreviewShape = inline_serializer(
    "GrantPreview",
    {
        "id": serializers.CharField(),
        "dry_run": serializers.BooleanField(),
        "ends": serializers.DictField(),
        "breaks": serializers.DictField(),
    },
)
