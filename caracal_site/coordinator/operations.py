"""The coordinator's operational routes: health, readiness, metrics, stats."""

from __future__ import annotations

from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpResponse

from caracal_site import operations
from caracal_site.coordinator.answers import answer
from caracal_site.coordinator.routes import Access, Call, Route
from caracal_site.coordinator.threads import in_db


class Ok(msgspec.Struct):
    ok: bool


async def health(_call: Call) -> HttpResponse:
    return answer({"ok": True})


async def ready(_call: Call) -> HttpResponse:
    status, body = await in_db(operations.readiness)
    return answer(body, status=status)


async def metrics(_call: Call) -> HttpResponse:
    text = await in_db(operations.metrics_text)
    return HttpResponse(text, content_type="text/plain; version=0.0.4")


async def stats(_call: Call) -> HttpResponse:
    return answer(await in_db(operations.stats))


routes = [
    Route(
        "GET",
        "/health",
        "health",
        health,
        "Liveness: touches nothing.",
        access=Access.PUBLIC,
        answer=Ok,
        tags=("operations",),
    ),
    Route(
        "GET",
        "/ready",
        "ready",
        ready,
        "Readiness: database, Redis, parked events, heartbeat of workers, stuck jobs.",
        access=Access.PUBLIC,
        answer=Ok,
        tags=("operations",),
        limit=lambda: int(settings.READY_RATE_LIMIT_PER_MIN),
    ),
    Route(
        "GET",
        "/metrics",
        "metrics",
        metrics,
        "Prometheus metrics of this process.",
        access=Access.METRICS,
        extra={"media_type": "text/plain"},
        tags=("operations",),
    ),
    Route(
        "GET",
        "/stats",
        "stats",
        stats,
        "Counts of invocations, events and jobs.",
        access=Access.OPERATOR,
        answer=dict[str, Any],
        tags=("operations",),
    ),
]
