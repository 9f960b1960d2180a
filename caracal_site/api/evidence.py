"""Lists of evidence: rows in an envelope, and how many of them (contract:
audit-and-events.md 1.3)."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000


def rows_of(rows: list[dict[str, Any]], cursor: str | None) -> dict[str, Any]:
    """The body of a page."""
    return {"rows": rows, "next_cursor": cursor}


def page_shape(name: str, row: serializers.Serializer[Any]) -> Any:
    """What ``rows_of`` answers, for the description of a list called ``name``."""
    return inline_serializer(
        name,
        {
            "rows": serializers.ListField(child=row),
            "next_cursor": serializers.CharField(allow_null=True),
        },
    )
