"""Answers about policies."""

from __future__ import annotations

from typing import Any

import msgspec
from rest_framework import serializers

from policies.examination.report import Report
from policies.inputs import SCHEMA_VERSION


class TemplateShape(serializers.Serializer[Any]):
    """A data document to start from."""

    id = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    content = serializers.CharField()


class OutputContractShape(serializers.Serializer[Any]):
    """What every decision looks like."""

    package = serializers.CharField()
    rule = serializers.CharField()
    decision = serializers.ListField(child=serializers.CharField())
    evaluation_status = serializers.ListField(child=serializers.CharField())


class PolicyPreviewShape(serializers.Serializer[Any]):
    """What a policy's text defines."""

    package = serializers.CharField()
    rules = serializers.ListField(child=serializers.CharField())
    default_result = serializers.BooleanField()
    decisions = serializers.ListField(child=serializers.CharField())
    inputs_referenced = serializers.ListField(child=serializers.CharField())
    data_referenced = serializers.ListField(child=serializers.CharField())


class ValidPolicyShape(serializers.Serializer[Any]):
    """A policy that can be saved as it is."""

    valid = serializers.BooleanField()
    schema_version = serializers.CharField()
    input_schema_version = serializers.CharField()
    output_contract = OutputContractShape()
    preview = PolicyPreviewShape()


OUTPUT_CONTRACT = {
    "package": "caracal.authz",
    "rule": "result",
    "decision": ["allow", "deny"],
    "evaluation_status": ["complete"],
}


def valid_policy(report: Report, schema_version: str) -> dict[str, Any]:
    """The answer to a validation that found nothing."""
    return {
        "valid": True,
        "schema_version": schema_version,
        "input_schema_version": SCHEMA_VERSION,
        "output_contract": OUTPUT_CONTRACT,
        "preview": msgspec.to_builtins(report.preview),
    }
