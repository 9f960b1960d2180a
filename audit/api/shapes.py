"""Answers about evidence: columns, their redaction, and their description."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from audit import explaining
from caracal_site.api.evidence import page_shape
from caracal_site.api.pagination import ABSENT
from caracal_site.logs import redact

DECISION = (
    "id",
    "zone_id",
    "event_type",
    "request_id",
    "decision",
    "evaluation_status",
    "metadata_json",
    "occurred_at",
)
CHANGE = (
    "id",
    "request_id",
    "actor_id",
    "actor_name",
    "actor_scope",
    "action",
    "method",
    "path",
    "entity_type",
    "entity_id",
    "status_code",
    "payload_json",
    "occurred_at",
    "chain_seq",
    "chain_hmac",
)
# A row among those of its request (contract: audit-and-events.md 2.2).
DECIDED = (
    "id",
    "zone_id",
    "event_type",
    "request_id",
    "decision",
    "policy_set_id",
    "policy_set_version_id",
    "manifest_sha",
    "evaluation_status",
    "determining_policies_json",
    "diagnostics_json",
    "metadata_json",
    "occurred_at",
)
# What a file of decisions has (contract: audit-and-events.md 2.1).
METADATA = (
    "application_id",
    "application_name",
    "resource",
    "requested_scopes",
    "agent_session_id",
    "agent_lifecycle",
    "agent_labels",
    "delegation_edge_id",
    "delegation_hop_count",
    "method",
    "latency_ms",
    "upstream_status",
    "result_class",
    "reason",
)
DECISION_TABLE = (
    "id",
    "occurred_at",
    "event_type",
    "decision",
    "evaluation_status",
    "request_id",
    "ingested_at",
    *METADATA,
)
CHANGE_TABLE = (
    "id",
    "occurred_at",
    "action",
    "method",
    "path",
    "entity_type",
    "entity_id",
    "status_code",
    "actor_id",
    "actor_name",
    "actor_scope",
    "request_id",
    "chain_seq",
    "signed",
    "changed_fields",
)
CHANGE_MEMBERS = (*(name for name in CHANGE if name != "chain_hmac"), "signed")
Row = dict[str, Any]


def decision(row: Row) -> Row:
    """A row of the ledger. It was written in the transaction of the decision, so it
    was ingested when it occurred."""
    return {
        **row,
        "metadata_json": redact(row["metadata_json"]),
        "ingested_at": row["occurred_at"],
    }


def decided(row: Row) -> Row:
    """A row of the ledger among those of its request."""
    shown = decision(row)
    for name in ("determining_policies_json", "diagnostics_json"):
        shown[name] = redact(row[name])
    return shown


def explanation(zone_id: str, request_id: str, rows: list[Row]) -> Row:
    """All that the ledger says about a request, and what came of it in words."""
    return {
        "request_id": request_id,
        "zone_id": zone_id,
        "final_decision": explaining.final_decision(rows),
        "explanation": [explaining.in_words(row) for row in rows],
        "denied": [
            {
                "event_id": row["id"],
                "event_type": row["event_type"],
                "evaluation_status": row["evaluation_status"],
                "determining_policies": redact(row["determining_policies_json"] or []),
                "diagnostics": redact(row["diagnostics_json"] or []),
                "metadata": redact(row["metadata_json"] or {}),
                "policy_input": explaining.policy_input(zone_id, row),
            }
            for row in rows
            if row["decision"] == "deny"
        ],
        "events": [decided(row) for row in rows],
    }


def change(row: Row) -> Row:
    """A row of the admin audit trail; its number is text, as 64-bit integers are."""
    shown = {**row, "payload_json": redact(row["payload_json"])}
    shown["signed"] = shown.pop("chain_hmac") is not None
    if row["chain_seq"] is not None:
        shown["chain_seq"] = str(row["chain_seq"])
    return shown


def changed_fields(row: Row) -> Any:
    """The names of what was given, of a row as it goes out."""
    return (row["payload_json"] or {}).get("changed_fields", ABSENT)


def of_metadata(name: str) -> Callable[[Row], Any]:
    """What the metadata of a decision say under ``name``, as they go out."""
    return lambda row: (row["metadata_json"] or {}).get(name, ABSENT)


def _text(*, null: bool = True) -> serializers.CharField:
    return serializers.CharField(allow_null=null)


DecisionShape = inline_serializer(
    "AuditEvent",
    {
        **{name: _text() for name in DECISION},
        "metadata_json": serializers.JSONField(allow_null=True),
        "occurred_at": serializers.DateTimeField(),
        "ingested_at": serializers.DateTimeField(),
    },
)
DecidedShape = inline_serializer(
    "DecidedEvent",
    {
        **{name: _text() for name in DECIDED},
        **{
            name: serializers.JSONField(allow_null=True)
            for name in DECIDED
            if name.endswith("_json")
        },
        "occurred_at": serializers.DateTimeField(),
        "ingested_at": serializers.DateTimeField(),
    },
    many=True,
)
DenialShape = inline_serializer(
    "ExplainedDenial",
    {
        **{name: _text() for name in ("event_id", "event_type", "evaluation_status")},
        "determining_policies": serializers.ListField(),
        "diagnostics": serializers.ListField(),
        "metadata": serializers.DictField(),
        "policy_input": serializers.DictField(),
    },
)
ExplanationShape = inline_serializer(
    "Explanation",
    {
        **{name: _text() for name in ("request_id", "zone_id", "final_decision")},
        "explanation": serializers.ListField(child=serializers.CharField()),
        "denied": serializers.ListField(child=DenialShape),
        "events": DecidedShape,
    },
)
ChangeShape = inline_serializer(
    "AdminAuditEvent",
    {
        **{name: _text() for name in CHANGE if name != "chain_hmac"},
        "status_code": serializers.IntegerField(),
        "payload_json": serializers.JSONField(allow_null=True),
        "occurred_at": serializers.DateTimeField(),
        "signed": serializers.BooleanField(),
    },
)
DecisionsShape = page_shape("AuditEvents", DecisionShape)
ChangesShape = page_shape("AdminAuditEvents", ChangeShape)
