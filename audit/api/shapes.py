"""Answers about evidence: columns, their redaction, and their description."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from caracal_site.logs import redact

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000
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


def change(row: Row) -> Row:
    """A row of the admin audit trail; its number is text, as 64-bit integers are."""
    shown = {**row, "payload_json": redact(row["payload_json"])}
    shown["signed"] = shown.pop("chain_hmac") is not None
    if row["chain_seq"] is not None:
        shown["chain_seq"] = str(row["chain_seq"])
    return shown


def changed_fields(row: Row) -> str:
    """The names of what was given, of a row as it goes out: one cell of a file."""
    payload = row["payload_json"] or {}
    return " ".join(payload.get("changed_fields") or ())


def rows_of(rows: list[Row], cursor: str | None) -> Row:
    """The body of a list of evidence."""
    return {"rows": rows, "next_cursor": cursor}


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
DecisionsShape = inline_serializer(
    "AuditEvents",
    {
        "rows": serializers.ListField(child=DecisionShape),
        "next_cursor": _text(),
    },
)
ChangesShape = inline_serializer(
    "AdminAuditEvents",
    {
        "rows": serializers.ListField(child=ChangeShape),
        "next_cursor": _text(),
    },
)
