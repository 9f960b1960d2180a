"""Answers about evidence: columns, their redaction, and their description."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django_filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers

from caracal_site.api.pagination import Page
from caracal_site.api.schema import paging_parameters
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


def rows_of(page: Page, shape: Callable[[Row], Row]) -> Row:
    """The body of a list of evidence."""
    return {"rows": [shape(row) for row in page.rows], "next_cursor": page.cursor}


def parameters_of(
    filterset: type[django_filters.FilterSet],
) -> tuple[OpenApiParameter, ...]:
    """The paging parameters and filters of a list of evidence."""
    limit = OpenApiParameter(
        "limit",
        {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_LIMIT,
            "default": DEFAULT_LIMIT,
        },
        description="How many rows at most.",
    )
    cursor = OpenApiParameter(
        "cursor", OpenApiTypes.STR, description="next_cursor of the page before."
    )
    others = [
        parameter
        for parameter in paging_parameters(filterset)
        if parameter.name not in ("limit", "cursor")
    ]
    return (limit, cursor, *others)


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
