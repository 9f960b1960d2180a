"""Bodies of zones, applications, providers, resources and admin tokens."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from caracal_site.api.fields import (
    BLANKS,
    FlagField,
    OneOfField,
    StrictSerializer,
    TextField,
    WholeField,
)
from caracal_site.times import from_wire
from zones import provider_kinds, rules
from zones.models import (
    OperationEnforcement,
    ProviderKind,
    TokenCapability,
    TokenScope,
)

MAX_ID = 128
MAX_PROVIDER_NAME = 512
MIN_SECRET, MAX_SECRET = 32, 512
MAX_OVERLAP = 7 * 86_400
MAX_TOKEN_SECONDS = 10 * 365 * 86_400
MAX_REASON = 500


class SlugField(TextField):
    """The part of a zone's address that people read."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_length=1, max_length=rules.MAX_SLUG, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not rules.SLUG.match(text):
            raise serializers.ValidationError(
                "expected lower-case letters, digits and hyphens"
            )
        return text


class StrictListField(serializers.ListField):
    """A JSON array, never read out of a form."""

    def get_value(self, dictionary: Any) -> Any:
        return dictionary.get(self.field_name, serializers.empty)


class ZoneCreateSerializer(StrictSerializer):
    name = TextField(min_length=1, max_length=120, trim=True)
    slug = SlugField(required=False)
    dcr_enabled = FlagField(required=False)


class ZoneChangeSerializer(StrictSerializer):
    name = TextField(min_length=1, max_length=120, trim=True, required=False)
    slug = SlugField(required=False)
    dcr_enabled = FlagField(required=False)
    dcr_shutdown = OneOfField(("keep_live", "revoke_live"), required=False)
    operator_coauthor_badge = FlagField(required=False)
    operator_governed = FlagField(required=False)


class ApplicationCreateSerializer(StrictSerializer):
    name = TextField(min_length=1, max_length=200, trim=True)
    registration_method = OneOfField(("managed",))
    traits = StrictListField(child=TextField(), required=False)


class ApplicationChangeSerializer(StrictSerializer):
    name = TextField(min_length=1, max_length=200, trim=True, required=False)
    client_secret = TextField(
        min_length=MIN_SECRET, max_length=MAX_SECRET, required=False
    )
    traits = StrictListField(child=TextField(), required=False)

    def validate_client_secret(self, secret: str) -> str:
        if not secret.strip(BLANKS):
            raise serializers.ValidationError("must not be blank")
        return secret


class SecretRotateSerializer(StrictSerializer):
    """``overlap_seconds`` is how long the secret before stays good; ``revoke_live``
    is for one that leaked: it ends what the application did, without overlap."""

    overlap_seconds = WholeField(minimum=0, maximum=MAX_OVERLAP, required=False)
    revoke_live = FlagField(required=False, source="ends_live")


class ApplicationRegisterSerializer(StrictSerializer):
    name = TextField(min_length=1, max_length=200, trim=True)
    expires_in = WholeField(minimum=1, maximum=3600, default=3600)


class ProviderChangeSerializer(StrictSerializer):
    name = TextField(max_length=MAX_PROVIDER_NAME, trim=True, required=False)
    identifier = TextField(max_length=MAX_PROVIDER_NAME, trim=True, required=False)
    kind = OneOfField(ProviderKind.choices, required=False)
    config_json = serializers.DictField(
        required=False, help_text=provider_kinds.described()
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A blank name or identifier counts as absent."""
        blank = {key for key in ("name", "identifier") if not attrs.get(key)}
        return {key: value for key, value in attrs.items() if key not in blank}


class ProviderCreateSerializer(ProviderChangeSerializer):
    kind = OneOfField(ProviderKind.choices)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = super().validate(attrs)
        if "name" not in given and "identifier" not in given:
            raise serializers.ValidationError("name or identifier is needed")
        return given


class OperationSerializer(StrictSerializer):
    method = TextField(min_length=1, max_length=16)
    path = TextField(min_length=1, max_length=512)
    scope = TextField(min_length=1, max_length=200)


class ResourceChangeSerializer(StrictSerializer):
    name = TextField(min_length=1, max_length=200, required=False)
    identifier = TextField(
        min_length=1, max_length=rules.MAX_RESOURCE_IDENTIFIER, required=False
    )
    upstream_url = TextField(trim=True, allow_null=True, required=False)
    scopes = StrictListField(
        child=TextField(min_length=1, max_length=200),
        min_length=1,
        max_length=64,
        required=False,
    )
    credential_provider_id = TextField(
        max_length=MAX_ID, allow_null=True, required=False
    )
    gateway_application_id = TextField(
        min_length=1, max_length=MAX_ID, allow_null=True, required=False
    )
    operations = StrictListField(
        child=OperationSerializer(), max_length=256, required=False
    )
    operation_enforcement = OneOfField(OperationEnforcement.choices, required=False)

    def validate_upstream_url(self, url: str | None) -> str | None:
        fault = rules.upstream_fault(url) if url is not None else None
        if fault:
            raise serializers.ValidationError(fault)
        return url

    def validate_scopes(self, scopes: list[str]) -> list[str]:
        fault = rules.scopes_fault(scopes)
        if fault:
            raise serializers.ValidationError(fault)
        return scopes


class ResourceCreateSerializer(ResourceChangeSerializer):
    scopes = StrictListField(
        child=TextField(min_length=1, max_length=200), min_length=1, max_length=64
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "name" not in attrs and "identifier" not in attrs:
            raise serializers.ValidationError("name or identifier is needed")
        return attrs


class MomentField(TextField):
    """A time in UTC, as answers write them."""

    def to_internal_value(self, data: Any) -> Any:
        try:
            return from_wire(super().to_internal_value(data))
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None


class AdminTokenMintSerializer(StrictSerializer):
    name = TextField(min_length=1, max_length=120)
    scope = OneOfField(TokenScope.choices)
    zone_id = TextField(min_length=1, max_length=MAX_ID, required=False)
    capability = OneOfField(TokenCapability.choices, default=TokenCapability.WRITE)
    expires_at = MomentField(required=False)
    ttl_seconds = WholeField(minimum=1, maximum=MAX_TOKEN_SECONDS, required=False)
    reason = TextField(min_length=1, max_length=MAX_REASON, trim=True, required=False)

    def validate_name(self, name: str) -> str:
        if not name.strip(BLANKS):
            raise serializers.ValidationError("must not be blank")
        return name

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "expires_at" in attrs and "ttl_seconds" in attrs:
            raise serializers.ValidationError(
                {"ttl_seconds": "give this or expires_at, not both"}
            )
        return attrs
