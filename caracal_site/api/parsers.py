"""The Management API's only body format: one JSON value, strictly read."""

from __future__ import annotations

from typing import IO, Any

import orjson
from django.conf import settings
from rest_framework.parsers import BaseParser

from caracal_site.errors import MalformedJSON, PayloadTooLarge

MAX_DEPTH = 64


class StrictJSONParser(BaseParser):
    """Parses JSON of at most ``API_BODY_LIMIT_BYTES``; refuses NUL in any text."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Any = None,
    ) -> Any:
        raw = stream.read(settings.API_BODY_LIMIT_BYTES + 1)
        if len(raw) > settings.API_BODY_LIMIT_BYTES:
            raise PayloadTooLarge
        return loads(raw)


def loads(raw: bytes) -> Any:
    """The JSON value in ``raw``. Raises MalformedJSON, also for NUL characters and for
    values nested deeper than any body of the API."""
    try:
        value = orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise MalformedJSON(
            sentence=f"The body is not well-formed JSON: {error}"
        ) from None
    if b"\\u0000" in raw or raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:
        _refuse_nul_and_depth(value)
    return value


def _refuse_nul_and_depth(value: Any) -> None:
    layer, depth = [value], 0
    while layer:
        depth += 1
        if depth > MAX_DEPTH:
            raise MalformedJSON(sentence="The body is nested too deeply.")
        below: list[Any] = []
        for member in layer:
            if isinstance(member, dict):
                below += member
                below += member.values()
            elif isinstance(member, list):
                below += member
            elif isinstance(member, str) and "\0" in member:
                raise MalformedJSON(sentence="Text must not contain NUL characters.")
        layer = below
