"""Refusals of the API deployment outside DRF's views: unknown paths, wrong methods,
malformed requests and faults of plain views.

The body is the platform's envelope; a person's browser gets the same as a page.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus

import orjson
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.views.decorators.csrf import csrf_exempt

from caracal_site import context, documentation, errors
from caracal_site.api.errors import CsrfFailed, Forbidden, MalformedRequest

View = Callable[..., HttpResponseBase]
SAFE = ("GET", "HEAD")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's ``handler400``."""
    if isinstance(exception, RequestDataTooBig):
        return refused(request, errors.PayloadTooLarge())
    return refused(request, MalformedRequest())


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's ``handler403``."""
    return refused(request, Forbidden())


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's ``CSRF_FAILURE_VIEW``."""
    return refused(request, CsrfFailed())


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's ``handler404``."""
    return refused(request, errors.RouteNotFound())


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's ``handler500``; Django has logged the exception."""
    return refused(request, errors.InternalError())


def reads(view: View) -> View:
    """Lets ``view`` answer GET and HEAD and refuses every other method."""

    @wraps(view)
    def guarded(
        request: HttpRequest, *args: object, **kwargs: object
    ) -> HttpResponseBase:
        if request.method not in SAFE:
            return refused(request, errors.MethodNotAllowed(SAFE))
        return view(request, *args, **kwargs)

    # Nothing to forge here: whatever writes is refused, and is told why.
    return csrf_exempt(guarded)


def is_page_wanted(request: HttpRequest) -> bool:
    """Whether the client would rather read HTML than JSON, as browsers say."""
    preferred = request.get_preferred_type(
        ["application/json", errors.PROBLEM_JSON, "text/html"]
    )
    return preferred == "text/html"


def refused(request: HttpRequest, error: errors.CaracalError) -> HttpResponse:
    """``error`` as a response of a plain Django view."""
    rendered = errors.render(
        error,
        request_id=context.current().request_id,
        accept=request.META.get("HTTP_ACCEPT", ""),
    )
    content_type = rendered.headers.pop("Content-Type")
    content: bytes | str = orjson.dumps(rendered.body)
    if is_page_wanted(request):
        content, content_type = (
            _page(error, rendered.body["requestId"]),
            documentation.PAGE,
        )
    return HttpResponse(
        content,
        status=error.status,
        content_type=content_type,
        headers=rendered.headers,
    )


def _page(error: errors.CaracalError, request_id: str) -> str:
    facts = {
        "status": error.status,
        "phrase": HTTPStatus(error.status).phrase,
        "code": error.code,
        "sentence": error.sentence,
        "request_id": request_id,
    }
    return render_to_string("documentation/error.html", facts)
