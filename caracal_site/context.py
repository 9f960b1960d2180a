"""What is known about the request or job in progress, for logs and evidence.

The interface sets it once; services and ``audit.record`` read it. It carries no
authority: who acts is always passed explicitly as ``actor``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from caracal_site.ids import new_id

REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}\Z")
TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}\b")


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Ids and the resolved route of the request, or the name of the job.

    ``method`` and ``path`` go into the audit trail (path without query string);
    ``status`` is what the interface answers when the service succeeds.
    """

    request_id: str
    method: str = "JOB"
    path: str = ""
    status: int = 200
    trace_id: str = ""
    span_id: str = ""
    source: str = ""


_current: ContextVar[RequestContext | None] = ContextVar(
    "caracal_request", default=None
)


def current() -> RequestContext:
    """The context in force, or a fresh one for code that runs outside any request."""
    return _current.get() or RequestContext(request_id=new_id())


def peek() -> RequestContext | None:
    """The context in force, or None outside any request or job."""
    return _current.get()


def activate(context: RequestContext) -> None:
    """Makes ``context`` the one in force for the rest of this task or thread."""
    _current.set(context)


def expect_status(status: int) -> None:
    """Declares what a success of the running request will answer."""
    activate(replace(current(), status=status))


@contextmanager
def job(name: str) -> Iterator[RequestContext]:
    """The context of a background job or command; each run has an id of its own."""
    token = _current.set(RequestContext(request_id=new_id(), method="JOB", path=name))
    try:
        yield current()
    finally:
        _current.reset(token)


def accepted_request_id(header: str | None) -> str:
    """The caller's X-Request-ID when it is well-formed, else a new id."""
    if header and REQUEST_ID.match(header):
        return header
    return new_id()


def trace_of(header: str | None) -> tuple[str, str]:
    """(trace id, span id) of a W3C ``traceparent`` header, or two empty strings."""
    match = TRACEPARENT.match(header or "")
    return (match[1], match[2]) if match else ("", "")
