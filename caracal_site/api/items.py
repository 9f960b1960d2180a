"""Single items: their entity tags, and requests on a condition (RFC 9110)."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from caracal_site.preconditions import (
    Precondition,
    is_known,
    precondition_of,
    tag_of,
)


def item(
    request: Request, body: dict[str, Any], *, version: int, status: int = 200
) -> Response:
    """``body`` with the tag of its row's version; 304 without a body for a reader
    that has just this already."""
    tag = tag_of(version)
    headers = {"ETag": tag}
    if request.method in SAFE_METHODS and is_known(
        tag, request.headers.get("If-None-Match")
    ):
        return Response(status=304, headers=headers)
    return Response(body, status=status, headers=headers)


def condition(request: Request) -> Precondition:
    """What the request wants to be true of what it changes."""
    return precondition_of(request.headers.get)
