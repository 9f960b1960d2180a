"""Errors of the Management API as the contract writes them."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError
from django.http import Http404
from psycopg_pool import PoolTimeout
from rest_framework import exceptions
from rest_framework.response import Response

from caracal_site import context, database, errors

log = logging.getLogger(__name__)


def exception_handler(exc: Exception, details: dict[str, Any]) -> Response:
    """DRF's hook: renders every exception of a view through ``errors.render``."""
    view = details.get("view")
    error = as_caracal_error(
        exc, getattr(view, "invalid_body", errors.InvalidBody), view
    )
    if error.status >= 500:
        log.error("request failed", exc_info=exc)
    request = details["request"]
    rendered = errors.render(
        error,
        request_id=context.current().request_id,
        accept=request.META.get("HTTP_ACCEPT", ""),
    )
    content_type = rendered.headers.pop("Content-Type")
    response = Response(rendered.body, status=rendered.status, headers=rendered.headers)
    response.content_type = content_type
    response.error = error  # type: ignore[attr-defined]  # read by the refusal audit
    return response


def as_caracal_error(
    exc: BaseException, invalid_body: type[errors.InvalidBody], view: Any
) -> errors.CaracalError:
    """The platform's error for whatever a view raised."""
    match exc:
        case errors.MalformedJSON():
            return invalid_body(exc.issues, str(exc))
        case errors.CaracalError():
            return exc
        case exceptions.ValidationError():
            return invalid_body(issues_of(exc.detail))
        case exceptions.ParseError():
            return invalid_body((), str(exc.detail))
        case exceptions.UnsupportedMediaType():
            return errors.UnsupportedMediaType()
        case exceptions.MethodNotAllowed():
            return errors.MethodNotAllowed(getattr(view, "allowed_methods", []))
        case exceptions.NotFound() | Http404():
            return errors.RouteNotFound()
        case RequestDataTooBig():
            return errors.PayloadTooLarge()
        case DatabaseError() | PoolTimeout():
            return database.translate(exc) or errors.InternalError()
        case _:
            return errors.InternalError()


def issues_of(detail: Any, path: tuple[str, ...] = ()) -> list[errors.Issue]:
    """DRF's nested error detail as a flat list of issues with their paths."""
    if isinstance(detail, dict):
        found: list[errors.Issue] = []
        for key, member in detail.items():
            here = path if key == "non_field_errors" else (*path, str(key))
            found += issues_of(member, here)
        return found
    if isinstance(detail, list):
        found = []
        for index, member in enumerate(detail):
            nested = isinstance(member, dict | list)
            found += issues_of(member, (*path, str(index)) if nested else path)
        return found
    return [errors.Issue(path, str(detail))]
