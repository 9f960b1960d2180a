"""Answers about kept policies and policy sets: members, and their description."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from policies import rules
from policies.models import Policy, PolicySetVersion
from policies.services import CreatedPolicy, uses_of

POLICY = (
    "id",
    "zone_id",
    "name",
    "description",
    "owner_type",
    "created_by",
    "co_authored_by_operator",
    "created_at",
)
POLICY_VERSION = (
    "id",
    "policy_id",
    "version",
    "content",
    "content_sha256",
    "schema_version",
    "created_by",
    "created_at",
)
POLICY_VERSION_MADE = (
    "id",
    "policy_id",
    "version",
    "content_sha256",
    "schema_version",
    "created_at",
)
POLICY_SET_MADE = (
    "id",
    "zone_id",
    "name",
    "description",
    "created_by",
    "co_authored_by_operator",
    "created_at",
)
POLICY_SET = (*POLICY_SET_MADE, "active_version_id")
SET_VERSION = (
    "id",
    "policy_set_id",
    "version",
    "manifest_sha256",
    "schema_version",
    "created_by",
    "created_at",
)
SET_VERSION_MADE = tuple(name for name in SET_VERSION if name != "created_by")
SCENARIO = (
    "id",
    "policy_set_id",
    "name",
    "input",
    "expected_decision",
    "expected_policy",
    "since_version",
    "created_by",
    "created_at",
)


def columns_of(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The named attributes of a model instance."""
    return {name: getattr(row, name) for name in names}


def nothing_ends(id: str) -> dict[str, Any]:
    """What would end and break with something nothing rests on."""
    return {"id": id, "dry_run": True, "ends": {}, "breaks": {}}


def used_by(policy: Policy) -> dict[str, Any]:
    """The set versions that stand on a policy, and so keep it."""
    uses = uses_of(policy)
    return {"id": policy.id, "total": len(uses), "used_by": uses}


def policy_with_versions(policy: Policy) -> dict[str, Any]:
    """A policy with all its versions, the newest first."""
    versions = policy.versions.order_by("-version")
    return {
        **columns_of(policy, POLICY),
        "versions": [
            {**row, "archived_at": None} for row in versions.values(*POLICY_VERSION)
        ],
    }


def policy_made(created: CreatedPolicy) -> dict[str, Any]:
    version = columns_of(created.version, POLICY_VERSION_MADE)
    return {
        "id": created.policy.id,
        "version_id": created.version.id,
        "zone_id": created.policy.zone_id,
        "name": created.policy.name,
        "description": created.policy.description,
        "version": version,
    }


def set_version(version: PolicySetVersion, members: list[str]) -> dict[str, Any]:
    """A set version with its manifest."""
    return {
        **columns_of(version, SET_VERSION_MADE),
        "manifest_json": rules.manifest_of(members),
        "policies": members,
    }


def _texts() -> serializers.Field[Any, Any, Any, Any]:
    return serializers.ListField(child=serializers.CharField())


class UseShape(serializers.Serializer):
    policy_set_id = serializers.CharField()
    policy_set_name = serializers.CharField()
    policy_set_version_id = serializers.CharField()
    version = serializers.IntegerField()
    active = serializers.BooleanField()


class UsesShape(serializers.Serializer):
    """The set versions that stand on a policy: in force, or the newest of a set."""

    id = serializers.CharField()
    total = serializers.IntegerField()
    used_by = UseShape(many=True)


class NothingEndsShape(serializers.Serializer):
    """Nothing would end or break with it."""

    id = serializers.CharField()
    dry_run = serializers.BooleanField()
    ends = serializers.DictField()
    breaks = serializers.DictField()


class PolicyShape(serializers.Serializer):
    id = serializers.CharField()
    zone_id = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField(allow_null=True)
    owner_type = serializers.CharField()
    created_by = serializers.CharField()
    co_authored_by_operator = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class PolicyVersionShape(serializers.Serializer):
    id = serializers.CharField()
    policy_id = serializers.CharField()
    version = serializers.IntegerField()
    content = serializers.CharField()
    content_sha256 = serializers.CharField()
    schema_version = serializers.CharField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    archived_at = serializers.DateTimeField(allow_null=True)


class PolicyDetailShape(PolicyShape):
    versions = PolicyVersionShape(many=True)


class VersionMadeShape(serializers.Serializer):
    id = serializers.CharField()
    policy_id = serializers.CharField()
    version = serializers.IntegerField()
    content_sha256 = serializers.CharField()
    schema_version = serializers.CharField()
    created_at = serializers.DateTimeField()


class PolicyVersionMadeShape(VersionMadeShape):
    version_id = serializers.CharField()


class PolicyMadeShape(serializers.Serializer):
    id = serializers.CharField()
    version_id = serializers.CharField()
    zone_id = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField(allow_null=True)
    version = VersionMadeShape()


class PolicySetMadeShape(serializers.Serializer):
    id = serializers.CharField()
    zone_id = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField(allow_null=True)
    created_by = serializers.CharField()
    co_authored_by_operator = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class PolicySetShape(PolicySetMadeShape):
    active_version_id = serializers.CharField(allow_null=True)


class SetVersionShape(serializers.Serializer):
    id = serializers.CharField()
    policy_set_id = serializers.CharField()
    version = serializers.IntegerField()
    manifest_sha256 = serializers.CharField()
    schema_version = serializers.CharField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()


class SetVersionMadeShape(serializers.Serializer):
    id = serializers.CharField()
    version_id = serializers.CharField()
    policy_set_id = serializers.CharField()
    version = serializers.IntegerField()
    manifest_sha256 = serializers.CharField()
    schema_version = serializers.CharField()
    created_at = serializers.DateTimeField()


class SetVersionDetailShape(serializers.Serializer):
    id = serializers.CharField()
    policy_set_id = serializers.CharField()
    version = serializers.IntegerField()
    manifest_json = inline_serializer(
        "ManifestEntry", {"policy_version_id": serializers.CharField()}, many=True
    )
    manifest_sha256 = serializers.CharField()
    schema_version = serializers.CharField()
    created_at = serializers.DateTimeField()
    policies = _texts()
