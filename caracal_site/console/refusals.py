"""Refusals at the console: a sentence on the page, and a row in the audit trail."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.module_loading import import_string
from psycopg_pool import PoolTimeout

from caracal_site import context, database
from caracal_site.actors import Actor
from caracal_site.errors import CaracalError, LockTimeout

EXPECTED = (CaracalError, DatabaseError, InterfaceError, PoolTimeout, database.Changed)

log = logging.getLogger(__name__)


def understood(error: BaseException) -> CaracalError:
    """The platform's error for one of ``EXPECTED``; raises it again when there is
    none."""
    if isinstance(error, CaracalError):
        return error
    if isinstance(error, database.Changed):
        return LockTimeout()
    translated = database.translate(error)
    if translated is None:
        raise error
    return translated


def sentence(error: CaracalError) -> str:
    """What a person reads: the error's sentence, and its detail where it has one."""
    detail = error.extra.get("detail") or error.extra.get("message")
    text = str(detail or "").rstrip(".")
    if text.casefold() in error.sentence.casefold():
        return error.sentence
    return f"{error.sentence} {text[:1].upper()}{text[1:]}."


def record(actor: Actor, error: CaracalError, *, zone_id: str | None) -> None:
    """Leaves the evidence of a refused change, in a transaction of its own."""
    try:
        import_string(settings.REFUSAL_RECORDER)(actor, error, zone_id=zone_id)
    except (DatabaseError, PoolTimeout):
        log.warning("refusal not recorded", extra={"code": error.code})


def rendered(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A view whose refusals become a page that says why."""

    @wraps(view)
    def answering(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except EXPECTED as error:
            return _page(request, understood(error))

    return answering


def _page(request: HttpRequest, error: CaracalError) -> HttpResponse:
    response = TemplateResponse(
        request,
        "console/refused.html",
        {
            "title": "That did not work",
            "sentence": sentence(error),
            "code": error.code,
            "request_id": context.current().request_id,
        },
        status=error.status,
        headers=error.headers,
    )
    return response.render()
