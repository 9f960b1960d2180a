"""Bodies of grants and connected accounts."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from caracal_site.api.fields import StrictSerializer, TextField
from policies.api.serializers import MomentField, StrictListField
from policies.grants import rules


class ScopeField(TextField):
    """A scope that can be granted."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_length=1, max_length=rules.MAX_SCOPE, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not rules.is_scope(text):
            raise serializers.ValidationError(
                "expected lower-case letters, digits and : _ . / -"
            )
        return text


def _id() -> TextField:
    return TextField(min_length=1, max_length=rules.MAX_ID)


def _user() -> TextField:
    return TextField(min_length=1, max_length=rules.MAX_USER)


def _scopes() -> StrictListField:
    return StrictListField(
        child=ScopeField(), min_length=1, max_length=rules.MAX_SCOPES
    )


def _token(**kwargs: Any) -> TextField:
    return TextField(min_length=1, max_length=rules.MAX_TOKEN, **kwargs)


class GrantCreateSerializer(StrictSerializer):
    application_id = _id()
    user_id = _user()
    resource_id = _id()
    scopes = _scopes()
    expires_at = MomentField(required=False)


class AccountSerializer(StrictSerializer):
    """Whose account, for which resource, at which provider."""

    user_id = _user()
    resource_id = _id()
    provider_id = _id()


class AuthorizeSerializer(AccountSerializer):
    scopes = _scopes()


class ProviderGrantCreateSerializer(AuthorizeSerializer):
    access_token = _token()
    refresh_token = _token(required=False)
    expires_at = MomentField(required=False)
