"""Every refusal of the platform, and the one function that renders them.

``CaracalError`` subclasses are facts: they carry a wire ``code`` and an HTTP
``status`` as class attributes, and their docstring is the default sentence. An app
declares its own facts in its ``errors.py``; services raise them and nobody else maps.

``render`` is pure. Its callers are the Management API's exception handler, the
coordinator's endpoint wrapper and the console's messages.

    CaracalError
    ├── InvalidRequest family (400)      what the caller sent is wrong
    ├── Unauthenticated family (401)     who the caller is, is not known
    ├── Forbidden family (403)           the caller may not
    ├── NotFound family (404)            there is no such thing for this caller
    ├── Conflict family (409)            the state of things does not allow it
    ├── PreconditionFailed (412)         the caller decided on an older state of things
    ├── TooManyRequests (429)
    └── Unavailable (503)
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar

PROBLEM_JSON = "application/problem+json"
JSON = "application/json; charset=utf-8"


class CaracalError(Exception):
    """The request could not be carried out."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(
        self,
        sentence: str | None = None,
        *,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.sentence = sentence or sentence_of(type(self)) or self.code
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})
        super().__init__(self.sentence)


class RetryLater(CaracalError):
    """The service is busy; the same request may succeed in a moment."""

    retry_after_seconds: ClassVar[int] = 1

    def __init__(
        self,
        sentence: str | None = None,
        *,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: int | None = None,
    ) -> None:
        seconds = self.retry_after_seconds if retry_after is None else retry_after
        super().__init__(
            sentence,
            extra=extra,
            headers={"Retry-After": str(seconds), **(headers or {})},
        )


@dataclass(frozen=True, slots=True)
class Issue:
    """One fault of a body: the path to it as strings, and what is wrong there."""

    path: tuple[str, ...]
    message: str

    def as_json(self) -> dict[str, Any]:
        return {"path": list(self.path), "message": self.message}


class InvalidBody(CaracalError):
    """The request body is not valid; details.issues lists every fault."""

    code = "invalid_body"
    status = 400

    def __init__(
        self,
        issues: Sequence[Issue] = (),
        sentence: str | None = None,
        *,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        details = {"details": {"issues": [issue.as_json() for issue in issues]}}
        super().__init__(
            sentence, extra={**(extra or {}), **(details if issues else {})}
        )
        self.issues = tuple(issues)


class MalformedJSON(InvalidBody):
    """The request body is not well-formed JSON."""


class InvalidQuery(CaracalError):
    """A query parameter is unknown, repeated, empty or out of range."""

    code = "invalid_query"
    status = 400


class InvalidFields(CaracalError):
    """``fields`` names none, or something that rows of this list do not have."""

    code = "invalid_fields"
    status = 400


class InvalidCursor(CaracalError):
    """The cursor was not issued by this list, or for other filters."""

    code = "invalid_cursor"
    status = 400


class InvalidParams(CaracalError):
    """An identifier in the path has characters or a length no identifier has."""

    code = "invalid_params"
    status = 400


class InvalidIdempotencyKey(CaracalError):
    """Idempotency-Key must be at most 255 printable ASCII characters."""

    code = "invalid_idempotency_key"
    status = 400


class NoFields(CaracalError):
    """The body names no field that can be changed."""

    code = "no_fields"
    status = 400


class InvalidPrecondition(CaracalError):
    """If-Match and If-None-Match hold * or quoted entity tags, as ETag has them."""

    code = "invalid_precondition"
    status = 400


class PreconditionFailed(CaracalError):
    """The item is not, or no longer, what the request was made for: read it again."""

    code = "precondition_failed"
    status = 412


class PayloadTooLarge(CaracalError):
    """The request body is larger than this endpoint accepts."""

    code = "payload_too_large"
    status = 413


class UnsupportedMediaType(CaracalError):
    """The request body must be sent as application/json."""

    code = "unsupported_media_type"
    status = 415


class RouteNotFound(CaracalError):
    """There is no such route."""

    code = "not_found"
    status = 404


class MethodNotAllowed(CaracalError):
    """The route exists but not for this method; the Allow header lists what does."""

    code = "method_not_allowed"
    status = 405

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(headers={"Allow": ", ".join(sorted(allowed))})


class ZoneNotFound(CaracalError):
    """There is no such zone."""

    code = "zone_not_found"
    status = 404


class IdempotencyKeyConflict(CaracalError):
    """This Idempotency-Key was used for a request with another body."""

    code = "idempotency_key_conflict"
    status = 409


class RateLimited(RetryLater):
    """Too many requests in this minute."""

    code = "rate_limited"
    status = 429


class LockTimeout(RetryLater):
    """Another request is changing the same thing; try again."""

    code = "busy"
    status = 409


class ServiceUnavailable(RetryLater):
    """The database cannot be reached; nothing was changed."""

    code = "service_unavailable"
    status = 503


class InternalError(CaracalError):
    """The service failed to process the request; its id finds it in the logs."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """An error as it goes out: status, headers and a JSON-ready body."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)


def render(error: CaracalError, *, request_id: str, accept: str = "") -> Rendered:
    """The wire form of ``error``: the contract's envelope, or RFC 9457 when asked for.

    The envelope always has ``error``, ``error_description`` and ``requestId``, then
    the extra members the contract names for this error.
    """
    headers = dict(error.headers)
    if PROBLEM_JSON in accept:
        headers["Content-Type"] = PROBLEM_JSON
        body: dict[str, Any] = {
            "type": f"/errors#{error.code}",
            "title": HTTPStatus(error.status).phrase,
            "status": error.status,
            "detail": error.sentence,
            "code": error.code,
            "requestId": request_id,
        }
    else:
        headers["Content-Type"] = JSON
        body = {
            "error": error.code,
            "error_description": error.sentence,
            "requestId": request_id,
        }
    return Rendered(error.status, headers, {**body, **error.extra})


def sentence_of(kind: type[CaracalError]) -> str:
    """The sentence of an error: the docstring of its class, on one line."""
    return " ".join((inspect.getdoc(kind) or "").split())


def catalogue() -> list[tuple[str, int, str]]:
    """(code, status, sentence) of every declared error, for the /errors page.

    A code may stand for several facts: each of its classes has an entry.
    """
    found: set[tuple[str, int, str]] = set()
    pending: list[type[CaracalError]] = [CaracalError]
    while pending:
        kind = pending.pop()
        pending.extend(kind.__subclasses__())
        if "code" in kind.__dict__:
            found.add((kind.code, kind.status, sentence_of(kind)))
    return sorted(found)
