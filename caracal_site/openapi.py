"""What the OpenAPI documents of both deployments have in common."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from caracal_site import errors, receipts
from caracal_site.context import REQUEST_ID

VERSION = "3.1.0"
REQUEST_ID_HEADER = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}
IDEMPOTENCY_KEY = {"$ref": "#/components/parameters/IdempotencyKey"}
TEXT = {"type": "string"}

ISSUE = {
    "type": "object",
    "description": "One fault of a request body.",
    "properties": {
        "path": {"type": "array", "items": TEXT, "description": "Members down to it."},
        "message": TEXT,
    },
    "required": ["path", "message"],
}
DETAILS = {
    "type": "object",
    "properties": {
        "issues": {"type": "array", "items": {"$ref": "#/components/schemas/Issue"}}
    },
}
ENVELOPE = {
    "type": "object",
    "description": "The answer of every refusal. Some codes bring further members.",
    "properties": {
        "error": {**TEXT, "description": "The code; /errors lists them all."},
        "error_description": {**TEXT, "description": "One sentence for a person."},
        "requestId": {**TEXT, "description": "The value of X-Request-ID."},
        "details": DETAILS,
    },
    "required": ["error", "error_description", "requestId"],
}
PROBLEM = {
    "type": "object",
    "description": "The same as RFC 9457 has it, for Accept: application/problem+json.",
    "properties": {
        "type": {**TEXT, "format": "uri-reference"},
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": TEXT,
        "code": TEXT,
        "requestId": TEXT,
        "details": DETAILS,
    },
    "required": ["type", "title", "status", "detail", "code", "requestId"],
}


def json_schema_pattern(pattern: str) -> str:
    """A Python pattern as ECMA 262 has it, where ``$`` ends the text and no line."""
    anchored = pattern if pattern.startswith("^") else f"^{pattern}"
    return anchored.replace(r"\Z", "$")


def shared_components() -> dict[str, dict[str, Any]]:
    """Schemas, headers and parameters that both documents refer to."""
    return {
        "schemas": {"Error": ENVELOPE, "Problem": PROBLEM, "Issue": ISSUE},
        "headers": {
            "RequestId": {
                "description": "The request's id, also in logs and audit rows.",
                "schema": TEXT,
            },
            "RetryAfter": {
                "description": "Seconds to wait before the next attempt.",
                "schema": {"type": "integer"},
            },
            "IdempotencyReplayed": {
                "description": "true on a repeat of the first answer.",
                "schema": {"const": "true"},
            },
        },
        "parameters": {
            "RequestId": {
                "name": "X-Request-ID",
                "in": "header",
                "description": "Taken over as the request's id when well-formed.",
                "schema": {**TEXT, "pattern": json_schema_pattern(REQUEST_ID.pattern)},
            },
            "IdempotencyKey": {
                "name": "Idempotency-Key",
                "in": "header",
                "description": (
                    "Printable ASCII. A repeat of the request under the same key gets "
                    "the first answer again; a day long, unless configured otherwise."
                ),
                "schema": {**TEXT, "maxLength": receipts.MAX_KEY_LENGTH},
            },
        },
    }


def refusals(codes: Iterable[tuple[str, int]]) -> dict[str, Any]:
    """The responses that answer with these (code, status) pairs, by status."""
    by_status: dict[int, list[str]] = {}
    for code, status in sorted(set(codes), key=lambda pair: (pair[1], pair[0])):
        by_status.setdefault(status, []).append(code)
    return {str(status): _refusal(status, names) for status, names in by_status.items()}


def _refusal(status: int, codes: list[str]) -> dict[str, Any]:
    headers: dict[str, Any] = dict(REQUEST_ID_HEADER)
    if status in (429, 503) or errors.LockTimeout.code in codes:
        headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    listed = ", ".join(f"`{code}`" for code in codes)
    return {
        "description": f"{HTTPStatus(status).phrase}: {listed}.",
        "headers": headers,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Error"}},
            errors.PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}},
        },
    }


def code_of(*kinds: type[errors.CaracalError]) -> list[tuple[str, int]]:
    """The (code, status) pairs of error classes."""
    return [(kind.code, kind.status) for kind in kinds]


def pretty(document: dict[str, Any]) -> str:
    """The document as it is committed: sorted and indented, to be diffed."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
