"""``Idempotency-Key`` on the coordinator's POSTs (D7)."""

from __future__ import annotations

from collections.abc import Callable
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


async def once(call: Call, perform: Callable[[], Any]) -> HttpResponse:
    """Runs ``perform`` (a service call that returns JSON-ready data) in the database
    thread; with a key, a repeat gets the first answer again. A route that answers 204
    has no data to return."""
    key = receipts.key_of(call.request.META.get("HTTP_IDEMPOTENCY_KEY"))
    status = context.current().status
    if key is None:
        return _answered(status, dumps(await in_db(perform)))
    kept, replayed = await in_db(_kept, call, key, status, perform)
    response = _answered(kept.status, kept.body)
    if replayed:
        response["Idempotency-Replayed"] = "true"
    return response


def _answered(status: int, body: str | bytes) -> HttpResponse:
    return nothing() if status == 204 else answer(body, status=status)


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
    body = dumps(perform()).decode()
    receipts.keep(caller, route, key, fingerprint, status, body)
    return receipts.Kept(status, body), False
