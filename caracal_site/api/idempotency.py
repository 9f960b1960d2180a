"""``Idempotency-Key`` on creates of the Management API (D7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import orjson
from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response

from caracal_site import receipts
from caracal_site.actors import Actor
from caracal_site.api.renderers import dumps


def once(request: Request, perform: Callable[[], Response]) -> Response:
    """Runs ``perform`` and keeps its answer under the request's key, in one
    transaction; a repeat gets that answer again. Secrets in the answer are part of
    the receipt's sealed body, so a client that lost the first answer is served."""
    key = receipts.key_of(request.META.get("HTTP_IDEMPOTENCY_KEY"))
    if key is None:
        return perform()
    caller = cast(Actor, request.auth).id
    route = f"{request.method} {request.path}"
    fingerprint = receipts.fingerprint_of(request.data)
    with transaction.atomic():
        kept = receipts.claim(caller, route, key, fingerprint)
        if kept is not None:
            first = orjson.loads(kept.body)
            headers = {**first["headers"], "Idempotency-Replayed": "true"}
            return Response(first["body"], status=kept.status, headers=headers)
        response = perform()
        tag = {"ETag": response["ETag"]} if "ETag" in response else {}
        body = dumps({"headers": tag, "body": response.data}).decode()
        receipts.keep(caller, route, key, fingerprint, response.status_code, body)
        return response
