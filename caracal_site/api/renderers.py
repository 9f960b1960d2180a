"""JSON as the contract writes it: compact, times in milliseconds with ``Z``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from rest_framework.renderers import BaseRenderer

from caracal_site.errors import JSON
from caracal_site.times import to_wire


def _default(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_wire(value)
    return str(value)


def dumps(data: Any) -> bytes:
    """``data`` as this API writes it."""
    return orjson.dumps(data, default=_default, option=orjson.OPT_PASSTHROUGH_DATETIME)


class OrjsonRenderer(BaseRenderer):
    """Renders with orjson; ``Response.data`` may hold datetimes."""

    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Any = None,
    ) -> bytes:
        if renderer_context is not None and data is not None:
            response = renderer_context["response"]
            # DRF has written the header by now, from the bare media type.
            response["Content-Type"] = response.content_type or JSON
        if data is None:
            return b""
        return dumps(data)


class ProblemRenderer(OrjsonRenderer):
    """Lets clients ask for RFC 9457 errors by their Accept header."""

    media_type = "application/problem+json"
    format = "problem"
