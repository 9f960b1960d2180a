"""In which form an answer goes out.

Programs get JSON, whatever their Accept header says, unless they ask for a file of a
list. A person's browser, which prefers HTML and carries no bearer token, gets the same
as a page.
"""

from __future__ import annotations

from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request

from caracal_site import errors
from caracal_site.api.exports import FORMATS
from caracal_site.errors import InvalidQuery

JSON = "json"
PAGE = "page"
FORMAT = "format"
HTML = "text/html"


def form_of(request: Any, *, is_list: bool) -> str:
    """``json``, ``page``, or for lists ``csv`` or ``ndjson``: what the query asks for,
    else what the Accept header prefers. Raises InvalidQuery for any other format."""
    asked = request.GET.getlist(FORMAT)
    offered = (JSON, *(FORMATS if is_list else ()))
    if not asked:
        return _preferred(request, is_list)
    if len(asked) != 1 or asked[0] not in offered:
        raise InvalidQuery(f"format must be one of {', '.join(offered)}.")
    return str(asked[0])


def _preferred(request: Any, is_list: bool) -> str:
    if "HTTP_ACCEPT" not in request.META:
        return JSON
    files = {kind.media_type: name for name, kind in FORMATS.items()} if is_list else {}
    known = {
        "application/json": JSON,
        errors.PROBLEM_JSON: JSON,
        **files,
        **({} if "HTTP_AUTHORIZATION" in request.META else {HTML: PAGE}),
    }
    preferred: str | None = request.get_preferred_type(list(known))
    return known.get(preferred or "", JSON)


class JSONOrPage(DefaultContentNegotiation):
    """JSON for programs, a page for browsers. A format that cannot be had is refused
    by the view, once the caller is known."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[Any, str]:
        try:
            wanted = form_of(request._request, is_list=False)
        except InvalidQuery:
            wanted = JSON
        for renderer in renderers:
            if (renderer.media_type == HTML) == (wanted == PAGE):
                return renderer, renderer.media_type
        return renderers[0], renderers[0].media_type
