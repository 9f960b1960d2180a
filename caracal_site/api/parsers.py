"""The Management API's only body format: one JSON value, strictly read."""

from __future__ import annotations

from typing import IO, Any

import orjson
from django.conf import settings
from rest_framework.parsers import BaseParser

from caracal_site.errors import MalformedJSON, PayloadTooLarge


class StrictJSONParser(BaseParser):
    """Parses JSON of at most ``API_BODY_LIMIT_BYTES``; refuses NUL in any text."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None
    ) -> Any:
        raw = stream.read(settings.API_BODY_LIMIT_BYTES + 1)
        if len(raw) > settings.API_BODY_LIMIT_BYTES:
            raise PayloadTooLarge
        return loads(raw)


def loads(raw: bytes) -> Any:
    """The JSON value in ``raw``. Raises MalformedJSON, also for NUL characters."""
    try:
        value = orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise MalformedJSON(sentence=f"The body is not well-formed JSON: {error}") from None
    if b"\\u0000" in raw and _has_nul(value):
        raise MalformedJSON(sentence="Text must not contain NUL characters.")
    return value


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(member) for key, member in value.items())
    return isinstance(value, list) and any(_has_nul(member) for member in value)
