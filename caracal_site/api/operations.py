"""The API deployment's operational routes, outside ``/v1`` and without a token."""

from __future__ import annotations

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from caracal_site import operations, rates
from caracal_site.api.fallbacks import reads, refused
from caracal_site.errors import JSON, CaracalError, RateLimited
from caracal_site.middleware import client_address

NO_STORE = {"Cache-Control": "no-store"}


class MetricsUnauthorized(CaracalError):
    """Metrics need Authorization: Bearer and the configured METRICS_BEARER."""

    code = "unauthorized"
    status = 401


@reads
def health(request: HttpRequest) -> HttpResponse:
    """Liveness: touches nothing and is never limited."""
    return HttpResponse(b'{"ok":true}', content_type=JSON, headers=NO_STORE)


@reads
def ready(request: HttpRequest) -> HttpResponse:
    """Readiness: database, Redis, parked events, the workers' heartbeat, stuck jobs."""
    try:
        rates.check("ready", client_address(request), settings.READY_RATE_LIMIT_PER_MIN)
    except RateLimited as error:
        return refused(request, error)
    status, body = operations.readiness()
    return HttpResponse(
        orjson.dumps(body), status=status, content_type=JSON, headers=NO_STORE
    )


@reads
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus metrics, for the bearer of ``METRICS_BEARER``."""
    if not operations.may_read_metrics(request.headers.get("Authorization", "")):
        return refused(request, MetricsUnauthorized())
    return HttpResponse(
        operations.metrics_text(),
        content_type=operations.METRICS_CONTENT_TYPE,
        headers=NO_STORE,
    )
