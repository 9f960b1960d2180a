"""Decisions of other producers as they arrive: their signature and their shape
(contract: audit-and-events.md 4.1, 4.2, 4.5). Pure."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from caracal_site.ids import first_id_at, is_id

DECISIONS = (None, "allow", "deny", "partial")
TEXTS = (
    "event_type",
    "request_id",
    "decision",
    "policy_set_id",
    "policy_set_version_id",
    "manifest_sha",
    "evaluation_status",
)
IDS = ("policy_set_id", "policy_set_version_id")
LISTS = ("determining_policies_json", "diagnostics_json")
LONGEST_TEXT = 512
LARGEST = 1_048_576
AHEAD = timedelta(minutes=5)
SIGNATURE = re.compile(r"[0-9a-fA-F]{64}\Z")
RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII
)
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-")


class Unfit(ValueError):
    """What arrived is no decision that the ledger takes; ``reason`` is the code."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


def verify(data: bytes, signature: str, keys: Iterable[bytes]) -> bool:
    """Whether one of the keys signed exactly these bytes; without keys all goes."""
    known = list(keys)
    if not known:
        return True
    if not SIGNATURE.match(signature):
        return False
    told = signature.lower()
    made = [hmac.new(key, data, hashlib.sha256).hexdigest() for key in known]
    return any(hmac.compare_digest(one, told) for one in made)


def decision(data: bytes, now: datetime, oldest: datetime) -> dict[str, Any]:
    """The row that ``data`` is. Raises Unfit.

    What claims to have happened in the future, or before anything would be kept, is not
    taken: a wrong clock must not decide which month a row lies in.
    """
    event = _parsed(data)
    row: dict[str, Any] = {name: event.get(name) for name in ("id", "zone_id")}
    for name in row:
        if not (isinstance(row[name], str) and is_id(row[name])):
            raise Unfit("json_parse_error", f"{name} is no id")
    for name in TEXTS:
        row[name] = _text(event, name)
    if not row["event_type"]:
        raise Unfit("json_parse_error", "event_type is missing")
    if row["decision"] not in DECISIONS:
        raise Unfit("json_parse_error", "decision is allow, deny or partial")
    for name in LISTS:
        row[name] = _shaped(event, name, list)
    row["metadata_json"] = _shaped(event, "metadata_json", dict)
    at = _moment(event.get("occurred_at"))
    if at > now + AHEAD or _is_ahead(row["id"], now):
        raise Unfit("occurred_in_the_future", str(event.get("occurred_at")))
    if at < oldest:
        raise Unfit("occurred_too_long_ago", str(event.get("occurred_at")))
    return {**row, "occurred_at": at.isoformat()}


def _parsed(data: bytes) -> dict[str, Any]:
    if len(data) > LARGEST:
        raise Unfit("too_large", f"{len(data)} bytes")
    try:
        event = _without_nul(orjson.loads(data))
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise Unfit("json_parse_error", str(error)) from None
    if not isinstance(event, dict):
        raise Unfit("json_parse_error", "not an object")
    return event


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_without_nul(one) for one in value]
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(one) for name, one in value.items()}
    return value


def _text(event: dict[str, Any], name: str) -> str | None:
    value = event.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise Unfit("json_parse_error", f"{name} is no short text")
    if name in IDS and not is_id(value):
        raise Unfit("json_parse_error", f"{name} is no id")
    return value


def _shaped(event: dict[str, Any], name: str, kind: type) -> Any:
    value = event.get(name)
    if value is not None and not isinstance(value, kind):
        raise Unfit("json_parse_error", f"{name} is no {kind.__name__}")
    return value


def _moment(text: Any) -> datetime:
    if not (isinstance(text, str) and RFC3339.match(text)):
        raise Unfit("json_parse_error", "occurred_at is no RFC 3339 time")
    # Microseconds are all there is room for.
    plain = re.sub(r"(\.\d{6})\d+", r"\1", text.upper())
    try:
        return datetime.fromisoformat(plain).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unfit("json_parse_error", "occurred_at is no time") from None


def _is_ahead(id_: str, now: datetime) -> bool:
    """Whether the id tells a time that is not yet: it would lie in a wrong month."""
    return bool(UUID7.match(id_)) and id_ >= first_id_at(now + AHEAD)
