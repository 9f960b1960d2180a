"""Answers of the coordinator's views."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from django.http import HttpResponse

from caracal_site.errors import JSON
from caracal_site.times import to_wire


def _default(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_wire(value)
    raise TypeError(type(value).__name__)


def dumps(value: Any) -> bytes:
    """Compact JSON, times as the wire has them."""
    return orjson.dumps(value, default=_default, option=orjson.OPT_PASSTHROUGH_DATETIME)


def answer(
    value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """A JSON answer; ``str`` and ``bytes`` are JSON already (made by the database)."""
    if isinstance(value, str):
        value = value.encode()
    body = value if isinstance(value, bytes) else dumps(value)
    return HttpResponse(
        body, status=status, content_type=JSON, headers=dict(headers or {})
    )


def nothing() -> HttpResponse:
    """204 without a body."""
    response = HttpResponse(status=204)
    del response["Content-Type"]
    return response
