"""Requests drawn from an OpenAPI document, for tests that try everything.

Most members fit what the document says and name things that exist, so that requests
get far; some are anything at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import orjson
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

# fmt: off
NASTY = [
    "", " ", "\0", "null", "0", "-1", "1e999", "%00", "%ff", "../..", "'\"; --", "{}",
    "\ud83d", "é", "\u202e", "\U0001d4b3" * 40, "a" * 5000, "[]", "true", "http://[",
    "2026-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "0000-00-00T00:00:00Z",
]
# fmt: on
NUMBERS = [0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**30, 1.5, 1e308, -0.0]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]
HEADERS = [
    "Accept", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Range",
    "Traceparent", "X-Caracal-Account", "X-Caracal-Authorized-By", "X-Forwarded-For",
    "X-HTTP-Method-Override", "X-Request-ID",
]  # fmt: skip

texts = st.sampled_from(NASTY) | st.text(max_size=30)
junk: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.sampled_from(NUMBERS) | texts,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=6,
)
header_values = st.text(
    st.characters(min_codepoint=32, max_codepoint=126), max_size=300
)


class Sent(NamedTuple):
    """A request as it goes out; ``url`` is quoted."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes | None


class Drawing:
    """Draws requests from a document; ``known`` are ids of what exists."""

    def __init__(
        self, draw: Callable[..., Any], document: dict[str, Any], known: list[str]
    ) -> None:
        self.draw, self.document, self.known = draw, document, known

    def request(self, zone_id: str, *, never: tuple[str, str] | None = None) -> Sent:
        """A request to any operation but ``never``, which is (method, path)."""
        described = [
            (path, method, operation)
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
            if (method, path) != never
        ]
        path, method, operation = self.draw(st.sampled_from(described))
        parameters = [self.resolved(each) for each in operation["parameters"]]
        for parameter in parameters:
            if parameter["in"] == "path":
                value = zone_id if parameter["name"] == "zone_id" else self.id()
                value = str(self.draw(texts)) if self.is_odd(20) else value
                path = path.replace(f"{{{parameter['name']}}}", quoted(value))
        headers = self.headers()
        return Sent(
            self.draw(st.sampled_from(METHODS)) if self.is_odd(20) else method.upper(),
            path + self.query([each for each in parameters if each["in"] == "query"]),
            headers,
            self.body(operation.get("requestBody"), headers),
        )

    def is_odd(self, one_in: int) -> bool:
        return bool(self.draw(st.integers(1, one_in)) == 1)

    def id(self) -> str:
        return str(self.draw(st.sampled_from([*self.known, "unknown"])))

    def resolved(self, schema: Any) -> Any:
        while "$ref" in schema:
            found: Any = self.document
            for step in schema["$ref"].split("/")[1:]:
                found = found[step]
            schema = found
        return schema

    def query(self, parameters: list[dict[str, Any]]) -> str:
        pairs: list[tuple[str, Any]] = []
        for parameter in parameters:
            if self.is_odd(4):
                pairs.append((parameter["name"], self.value(parameter["schema"])))
        if self.is_odd(10):
            pairs.append((self.draw(texts), self.draw(texts)))
        encoded = urlencode(
            [(bytes_of(name), bytes_of(value)) for name, value in pairs]
        )
        return f"?{encoded}" if encoded else ""

    def headers(self) -> dict[str, str]:
        if not self.is_odd(6):
            return {}
        drawn = st.dictionaries(st.sampled_from(HEADERS), header_values, max_size=3)
        return dict(self.draw(drawn))

    def body(self, declared: Any, headers: dict[str, str]) -> bytes | None:
        if declared is None:
            return bytes(self.draw(st.binary(max_size=20))) if self.is_odd(10) else None
        media_type, content = next(iter(declared["content"].items()))
        headers.setdefault("Content-Type", media_type)
        if self.is_odd(15):
            return bytes(self.draw(st.binary(max_size=60)))
        value = self.value(content["schema"])
        if media_type != "application/json" and isinstance(value, dict):
            fields = [
                (bytes_of(name), bytes_of(member)) for name, member in value.items()
            ]
            return urlencode(fields).encode()
        return as_json(value)

    def value(self, schema: Any) -> Any:
        """A value that fits ``schema`` more often than not."""
        schema = self.resolved(schema)
        if self.is_odd(30):
            return self.draw(junk)
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                return self.value(self.draw(st.sampled_from(schema[choice])))
        if "allOf" in schema:
            return self.value(schema["allOf"][0])
        if "enum" in schema:
            return self.draw(st.sampled_from(schema["enum"]))
        return self.typed(schema)

    def typed(self, schema: Any) -> Any:
        kind = schema.get("type")
        kind = self.draw(st.sampled_from(kind)) if isinstance(kind, list) else kind
        match kind:
            case "string":
                likely = st.sampled_from([*self.known, "a", "docs:read", "name"])
                return self.draw(likely if self.draw(st.booleans()) else texts)
            case "integer" | "number":
                least = int(schema.get("minimum", 0))
                most = int(schema.get("maximum", least + 100))
                return self.draw(st.integers(least, most))
            case "boolean":
                return self.draw(st.booleans())
            case "array":
                length = self.draw(st.integers(0, 3))
                return [self.value(schema.get("items", {})) for _ in range(length)]
            case "object":
                return self.members(schema)
            case "null":
                return None
            case _:
                return self.draw(junk)

    def members(self, schema: Any) -> dict[str, Any]:
        required = schema.get("required", ())
        return {
            name: self.value(member)
            for name, member in schema.get("properties", {}).items()
            if (name in required and not self.is_odd(30)) or self.draw(st.booleans())
        }


def bytes_of(value: Any) -> bytes:
    text = (
        value if isinstance(value, str) else as_json(value).decode("utf-8", "replace")
    )
    return text.encode("utf-8", "surrogatepass")


def as_json(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # what orjson cannot say: huge numbers, half characters
        return repr(value).replace("'", '"').encode("utf-8", "surrogatepass")


def quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="") or "%20"
