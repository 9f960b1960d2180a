"""Bodies of policies, policy sets, scenarios, simulations and comparisons."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from caracal_site.api.fields import (
    OneOfField,
    StrictSerializer,
    TextField,
    WholeField,
)
from caracal_site.times import from_wire
from policies import rules
from policies.services import comparing

MAX_ID = 128
MAX_VERSION = 2**31 - 1


class StrictListField(serializers.ListField):
    """A JSON array, never read out of a form."""

    def get_value(self, dictionary: Any) -> Any:
        return dictionary.get(self.field_name, serializers.empty)


@extend_schema_field(OpenApiTypes.OBJECT)
class ObjectField(serializers.Field[dict[str, Any], Any, Any, Any]):
    """A JSON object, whatever is in it."""

    default_error_messages = {"type": "expected an object"}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("type")
        return dict(data)

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field(OpenApiTypes.DATETIME)
class MomentField(serializers.Field[Any, Any, Any, Any]):
    """A time as the platform writes times."""

    default_error_messages = {"type": "expected a time such as 2026-05-01T12:00:00Z"}

    def to_internal_value(self, data: Any) -> Any:
        try:
            return from_wire(data)
        except (TypeError, ValueError):
            self.fail("type")

    def to_representation(self, value: Any) -> Any:
        return value


class PolicyContentSerializer(StrictSerializer):
    """A policy's text. How long it may be is a rule about policies, not of the body."""

    content = TextField(min_length=1)
    schema_version = TextField(required=False)


class PolicyCreateSerializer(PolicyContentSerializer):
    name = TextField(min_length=1, max_length=rules.MAX_NAME, trim=True)
    description = TextField(
        max_length=rules.MAX_DESCRIPTION, required=False, allow_null=True
    )
    owner_type = TextField(max_length=64, required=False)

    def validate_owner_type(self, owner_type: str) -> str:
        if not rules.OWNER_TYPE.match(owner_type):
            raise serializers.ValidationError(
                "expected a word of letters, digits, dots, hyphens and underscores"
            )
        return owner_type


class PolicySetCreateSerializer(StrictSerializer):
    name = TextField(min_length=1, max_length=rules.MAX_NAME, trim=True)
    description = TextField(
        max_length=rules.MAX_DESCRIPTION, required=False, allow_null=True
    )


class MemberSerializer(StrictSerializer):
    policy_version_id = TextField(min_length=1, max_length=MAX_ID)


class PolicySetVersionCreateSerializer(StrictSerializer):
    manifest = StrictListField(
        child=MemberSerializer(), min_length=1, max_length=rules.MAX_MANIFEST
    )
    schema_version = TextField(required=False)


class ActivateSerializer(StrictSerializer):
    version_id = TextField(min_length=1, max_length=MAX_ID)
    shadow_version_id = TextField(
        min_length=1, max_length=MAX_ID, required=False, allow_null=True
    )
    expected_active_version_id = TextField(
        min_length=1, max_length=MAX_ID, required=False, allow_null=True
    )


class SimulateSerializer(StrictSerializer):
    version_id = TextField(min_length=1, max_length=MAX_ID)
    input = ObjectField(required=False, allow_null=True)


class NamedInputSerializer(StrictSerializer):
    name = TextField(min_length=1, max_length=rules.MAX_NAME, required=False)
    input = ObjectField()


class CompareSerializer(StrictSerializer):
    version_id = TextField(min_length=1, max_length=MAX_ID)
    inputs = StrictListField(
        child=NamedInputSerializer(),
        min_length=1,
        max_length=comparing.MAX_INPUTS,
        required=False,
    )
    since = MomentField(required=False)
    until = MomentField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("inputs" in attrs) == ("since" in attrs):
            raise serializers.ValidationError("either inputs or since is needed")
        if "until" in attrs and "since" not in attrs:
            raise serializers.ValidationError("until goes with since")
        if "until" in attrs and attrs["until"] <= attrs["since"]:
            raise serializers.ValidationError("until must be later than since")
        return attrs


class ScenarioCreateSerializer(StrictSerializer):
    name = TextField(min_length=1, max_length=rules.MAX_NAME, trim=True)
    input = ObjectField()
    expected_decision = OneOfField(("allow", "deny"))
    expected_policy = TextField(min_length=1, max_length=rules.MAX_NAME, required=False)
    since_version = WholeField(minimum=1, maximum=MAX_VERSION, required=False)


class TestSerializer(StrictSerializer):
    version_id = TextField(min_length=1, max_length=MAX_ID)
