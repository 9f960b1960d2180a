"""``Idempotency-Key`` on the coordinator's POSTs (D7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction
from django.http import HttpResponse

from caracal_site import context, receipts
from caracal_site.coordinator.answers import answer, dumps, nothing
from caracal_site.coordinator.routes import Call
from caracal_site.coordinator.threads import in_db


@dataclass(frozen=True, slots=True)
class Otherwise:
    """What ``perform`` returns to answer JSON text under a status of its own."""

    status: int
    body: bytes


async def once(call: Call, perform: Callable[[], Any]) -> HttpResponse:
    """Runs ``perform`` (a service call that returns JSON-ready data, or Otherwise) in
    the database thread; with a key, a repeat gets the first answer again. A route that
    answers 204 has no data to return."""
    key = receipts.key_of(call.request.META.get("HTTP_IDEMPOTENCY_KEY"))
    status = context.current().status
    if key is None:
        return _answered(_told(await in_db(perform), status))
    kept, replayed = await in_db(_kept, call, key, status, perform)
    response = _answered(kept)
    if replayed:
        response["Idempotency-Replayed"] = "true"
    return response


def _answered(told: Otherwise | receipts.Kept) -> HttpResponse:
    return nothing() if told.status == 204 else answer(told.body, status=told.status)


def _told(performed: Any, status: int) -> Otherwise:
    if isinstance(performed, Otherwise):
        return performed
    return Otherwise(status, dumps(performed))


@transaction.atomic
def _kept(
    call: Call, key: str, status: int, perform: Callable[[], Any]
) -> tuple[receipts.Kept, bool]:
    caller = f"{call.actor.zone_id}:{call.actor.client_id}"
    route = f"{call.request.method} {call.request.path}"
    fingerprint = receipts.fingerprint_of(orjson.loads(call.request.body or b"null"))
    found = receipts.claim(caller, route, key, fingerprint)
    if found is not None:
        # A repeat runs nothing that would ask.
        import_module(settings.COORDINATOR_VERIFIER).check_alive(call.actor)
        return found, True
    told = _told(perform(), status)
    body = told.body.decode()
    receipts.keep(caller, route, key, fingerprint, told.status, body)
    return receipts.Kept(told.status, body), False
