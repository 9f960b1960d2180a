"""The request context of the API deployment."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from caracal_site import context


def client_address(request: HttpRequest) -> str:
    """The peer's address, or the forwarded one behind a trusted proxy."""
    if settings.TRUST_PROXY:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")[0].strip()
        if forwarded:
            return str(forwarded)
    return str(request.META.get("REMOTE_ADDR", ""))


def begin(request: HttpRequest) -> context.RequestContext:
    """Sets the context of ``request`` in force and returns it."""
    trace_id, span_id = context.trace_of(request.META.get("HTTP_TRACEPARENT"))
    begun = context.RequestContext(
        request_id=context.accepted_request_id(request.META.get("HTTP_X_REQUEST_ID")),
        method=request.method or "",
        path=request.path.replace("\0", ""),  # which no database stores
        trace_id=trace_id,
        span_id=span_id,
        source=client_address(request),
    )
    context.activate(begun)
    return begun


def request_context(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Gives each request its context and each response its id."""

    def middleware(request: HttpRequest) -> HttpResponse:
        begun = begin(request)
        response = get_response(request)
        response["X-Request-ID"] = begun.request_id
        return response

    return middleware
