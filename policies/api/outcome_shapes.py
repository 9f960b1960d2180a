"""Answers about what would be decided and what is in force, and their description."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from policies import rules
from policies.models import PolicySetVersion
from policies.services import (
    ActivationStatus,
    Comparison,
    Outcome,
    Simulation,
)


def simulation(policy_set_id: str, found: Simulation) -> dict[str, Any]:
    return {
        "dry_run": True,
        "would_activate": found.would_activate,
        "policy_set_id": policy_set_id,
        "version_id": found.version.id,
        "schema_version": found.version.schema_version,
        "input_schema_version": rules.INPUT_SCHEMA_VERSION,
        "manifest_sha256": found.version.manifest_sha256,
        "policies": found.policy_version_ids,
        "warnings": found.warnings,
        "explanation": found.explanation,
        "result": found.answer,
    }


def comparison(policy_set_id: str, found: Comparison) -> dict[str, Any]:
    return {
        "policy_set_id": policy_set_id,
        "version_id": found.version.id,
        "active_version_id": found.active_version_id,
        "compared": found.compared,
        "allow_to_deny": found.count("allow_to_deny"),
        "deny_to_allow": found.count("deny_to_allow"),
        "flips": [
            {
                "name": flip.name,
                "change": flip.change,
                "input": flip.document,
                "before": flip.before,
                "after": flip.after,
            }
            for flip in found.flips
        ],
        "skipped": [{"name": name, "reason": why} for name, why in found.skipped],
        "complete": found.is_complete,
    }


def status(found: ActivationStatus) -> dict[str, Any]:
    return {
        "zone_id": found.zone_id,
        "policy_set_id": found.policy_set_id,
        "version_id": found.version_id,
        "active": found.is_active,
        "active_version_id": found.active_version_id,
        "shadow_version_id": found.shadow_version_id,
        "manifest_sha256": found.manifest_sha256,
        "propagation_status": found.propagation_status,
        "outbox": found.outbox,
        "sts": found.sts,
    }


def tested(version: PolicySetVersion, outcomes: list[Outcome]) -> dict[str, Any]:
    return {
        "policy_set_id": version.policy_set_id,
        "version_id": version.id,
        "passed": not any(one.fault for one in outcomes),
        "scenarios": [one.as_json() for one in outcomes],
    }


def _texts() -> serializers.Field[Any, Any, Any, Any]:
    return serializers.ListField(child=serializers.CharField())


class ActivatedShape(serializers.Serializer):
    activated = serializers.BooleanField()
    version_id = serializers.CharField()
    shadow_version_id = serializers.CharField(allow_null=True)
    outbox_id = serializers.CharField()
    status_url = serializers.CharField()


class DeactivatedShape(serializers.Serializer):
    deactivated = serializers.BooleanField()
    version_id = serializers.CharField(help_text="What was in force until now.")
    outbox_id = serializers.CharField()


class EvaluatorShape(serializers.Serializer):
    id = serializers.CharField()
    state = serializers.ChoiceField(("loaded", "not_loaded", "failed"))
    policy_set_version_id = serializers.CharField(allow_null=True)
    revision = serializers.IntegerField()
    loaded_at = serializers.DateTimeField()
    seen_at = serializers.DateTimeField()
    error = serializers.CharField(allow_null=True)


class OutboxStateShape(serializers.Serializer):
    id = serializers.CharField(allow_null=True)
    state = serializers.ChoiceField(
        ("missing", "mismatch", "pending", "dispatched", "dead")
    )
    attempts = serializers.IntegerField()
    last_error = serializers.CharField(allow_null=True)
    dispatched_at = serializers.DateTimeField(allow_null=True)


class StsStateShape(serializers.Serializer):
    state = serializers.ChoiceField(("loaded", "not_loaded", "failed", "unreachable"))
    loaded = serializers.BooleanField(required=False)
    zone_id = serializers.CharField(required=False)
    policy_set_version_id = serializers.CharField(required=False)
    manifest_sha256 = serializers.CharField(required=False)
    loaded_at = serializers.DateTimeField(required=False)
    age_seconds = serializers.IntegerField(required=False)
    detail = serializers.CharField(required=False)
    evaluators = EvaluatorShape(many=True)


class ActivationStatusShape(serializers.Serializer):
    zone_id = serializers.CharField()
    policy_set_id = serializers.CharField()
    version_id = serializers.CharField()
    active = serializers.BooleanField()
    active_version_id = serializers.CharField(allow_null=True)
    shadow_version_id = serializers.CharField(allow_null=True)
    manifest_sha256 = serializers.CharField(allow_null=True)
    propagation_status = serializers.ChoiceField(
        (
            "waiting_for_activation",
            "waiting_for_outbox",
            "waiting_for_sts",
            "loaded",
            "failed",
        )
    )
    outbox = OutboxStateShape()
    sts = StsStateShape()


class PolicyAnswerShape(serializers.Serializer):
    decision = serializers.ChoiceField(("allow", "deny"))
    determining_policies = serializers.ListField(child=serializers.DictField())
    evaluation_status = serializers.CharField()
    diagnostics = serializers.ListField(child=serializers.DictField())


class SimulationShape(serializers.Serializer):
    dry_run = serializers.BooleanField()
    would_activate = serializers.BooleanField()
    policy_set_id = serializers.CharField()
    version_id = serializers.CharField()
    schema_version = serializers.CharField()
    input_schema_version = serializers.CharField()
    manifest_sha256 = serializers.CharField()
    policies = _texts()
    warnings = _texts()
    explanation = serializers.DictField()
    result = PolicyAnswerShape(allow_null=True)


class FlipShape(serializers.Serializer):
    name = serializers.CharField()
    change = serializers.ChoiceField(("allow_to_deny", "deny_to_allow", "explanation"))
    input = serializers.DictField()
    before = PolicyAnswerShape()
    after = PolicyAnswerShape()


class ComparisonShape(serializers.Serializer):
    policy_set_id = serializers.CharField()
    version_id = serializers.CharField()
    active_version_id = serializers.CharField(allow_null=True)
    compared = serializers.IntegerField()
    allow_to_deny = serializers.IntegerField()
    deny_to_allow = serializers.IntegerField()
    flips = FlipShape(many=True)
    skipped = inline_serializer(
        "SkippedQuestion",
        {
            "name": serializers.CharField(),
            "reason": serializers.ChoiceField(("no_stored_input", "invalid_input")),
        },
        many=True,
    )
    complete = serializers.BooleanField(
        help_text="Whether all recorded decisions of the window were looked at."
    )


class ScenarioShape(serializers.Serializer):
    id = serializers.CharField()
    policy_set_id = serializers.CharField()
    name = serializers.CharField()
    input = serializers.DictField()
    expected_decision = serializers.ChoiceField(("allow", "deny"))
    expected_policy = serializers.CharField(allow_null=True)
    since_version = serializers.IntegerField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()


class OutcomeShape(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()
    passed = serializers.BooleanField()
    fault = serializers.CharField(allow_null=True)
    result = PolicyAnswerShape()


class TestedShape(serializers.Serializer):
    policy_set_id = serializers.CharField()
    version_id = serializers.CharField()
    passed = serializers.BooleanField()
    scenarios = OutcomeShape(many=True)
