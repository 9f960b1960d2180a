"""Bodies and queries of the coordinator, as strict msgspec structs.

The happy path is one ``msgspec`` decode. Only when it refuses is the body taken apart
member by member, so that the answer lists every fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar, get_args

import msgspec
import orjson
from django.http import HttpRequest, QueryDict

from caracal_site.api.parsers import MAX_DEPTH, loads
from caracal_site.errors import (
    InvalidBody,
    InvalidQuery,
    Issue,
    MalformedJSON,
    PayloadTooLarge,
    UnsupportedMediaType,
)

T = TypeVar("T", bound=msgspec.Struct)
AT = re.compile(r" - at `\$(.*)`$")
STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+|\.\.\.)\]")
# What msgspec reads and the database or the answer could not hold: NUL, numbers beyond
# 64 bits. The pattern finds more than that, but rarely.
DUBIOUS = re.compile(rb"\\u0000|[0-9]{19}")


def read_json(request: HttpRequest, struct: type[T], *, optional: bool) -> T | None:
    """The request's body as ``struct``; None when it may be absent and is.

    Raises PayloadTooLarge, UnsupportedMediaType, MalformedJSON or InvalidBody, in
    this order of checks.
    """
    if getattr(request, "body_too_large", False):
        raise PayloadTooLarge
    raw = request.body
    if not raw and optional:
        return None
    content_type = (
        request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    )
    if raw and content_type != "application/json":
        raise UnsupportedMediaType
    if not raw:
        if content_type:
            raise MalformedJSON(
                sentence="The body is empty; a JSON object was expected."
            )
        raise InvalidBody([Issue((), "expected an object, got nothing")])
    return decode(raw, struct)


def decode(raw: bytes, struct: type[T]) -> T:
    """``raw`` as ``struct``. Raises MalformedJSON, or InvalidBody with every issue."""
    if DUBIOUS.search(raw) or raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        _refuse_unstorable(raw)
    try:
        return msgspec.json.decode(raw, type=struct)
    except msgspec.ValidationError:
        raise InvalidBody(faults_of(loads(raw), struct)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedJSON(
            sentence=f"The body is not well-formed JSON: {error}"
        ) from None


def _refuse_unstorable(raw: bytes) -> None:
    loads(raw)
    with suppress(msgspec.DecodeError):
        value = msgspec.json.decode(raw)
        try:
            orjson.dumps(value)
        except TypeError:
            fault = Issue((), "a number does not fit 64 bits")
            raise InvalidBody([fault]) from None


def read_query(query: QueryDict, struct: type[T]) -> T:
    """The query as ``struct``. Raises InvalidQuery for anything unknown, repeated,
    empty or out of range."""
    values: dict[str, str] = {}
    for name, given in query.lists():
        if len(given) != 1 or not given[0] or "\0" in given[0]:
            raise InvalidQuery(f"Query parameter {name!r} needs exactly one value.")
        values[name] = given[0]
    try:
        return msgspec.convert(values, struct, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidQuery(f"The query is not valid: {error}") from None


def or_none(value: Any) -> Any:
    """The value of an optional member; None when it was not sent."""
    return None if value is msgspec.UNSET else value


def faults_of(value: Any, struct: type[msgspec.Struct]) -> list[Issue]:
    """Every member of ``value`` that keeps it from being a ``struct``."""
    if not isinstance(value, Mapping):
        return [Issue((), f"expected an object, got {_kind(value)}")]
    found: list[Issue] = []
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    for name, field in fields.items():
        if name not in value:
            if field.required:
                found.append(Issue((name,), "required"))
            continue
        try:
            msgspec.convert(value[name], field.type, strict=True)
        except msgspec.ValidationError as error:
            found += _within(name, value[name], field.type) or [
                _issue(str(error), (name,))
            ]
    found += [
        Issue((name,), "unknown member")
        for name in sorted(value.keys() - fields.keys())
    ]
    return found or [Issue((), "not valid")]


def _within(name: str, value: Any, kind: Any) -> list[Issue]:
    """The faults of a member that is an object itself, each with its whole path."""
    structs = [each for each in (kind, *get_args(kind)) if _is_struct(each)]
    if len(structs) != 1 or not isinstance(value, Mapping):
        return []
    return [
        Issue((name, *fault.path), fault.message)
        for fault in faults_of(value, structs[0])
        if fault.path
    ]


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _issue(message: str, prefix: tuple[str, ...]) -> Issue:
    at = AT.search(message)
    steps = STEP.findall(at[1]) if at else []
    path = tuple(name or index for name, index in steps)
    return Issue(prefix + path, AT.sub("", message))


def _kind(value: Any) -> str:
    kinds = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")
