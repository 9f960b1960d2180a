"""From a resolved route to an answer: the coordinator's request pipeline (D2).

Route resolution, authentication, rate limit, authorisation, body, validation, view.
Every refusal is rendered here, once; refused calls of known callers that would have
changed something are recorded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from functools import cache
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.exceptions import TooManyFieldsSent
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string
from psycopg_pool import PoolTimeout

from caracal_site import actors, context, database, errors, metrics, rates, sealing
from caracal_site.actors import Actor
from caracal_site.coordinator import bodies
from caracal_site.coordinator.answers import answer
from caracal_site.coordinator.errors import (
    InvalidToken,
    MissingToken,
    OperatorTokenRequired,
    ZoneMismatch,
)
from caracal_site.coordinator.routes import Access, Call, Route
from caracal_site.coordinator.threads import in_db
from caracal_site.ids import is_id
from caracal_site.middleware import begin

log = logging.getLogger(__name__)
View = Callable[..., Coroutine[Any, Any, HttpResponseBase]]
MAX_TOKEN_LENGTH = 4096
ANONYMOUS = Actor(kind=actors.ActorKind.APPLICATION, id="", name="anonymous")
# Refusals that may be found before any statement ran: whether the caller's identity is
# still in force has not been looked at yet then, and goes first.
BEFORE_LOOKUP = {400, 403, 405, 413, 415}
# Found early as well, under statuses that mostly are not.
EARLY = (errors.RouteNotFound, errors.IdempotencyKeyConflict)


def views_of(routes: Mapping[str, Route]) -> View:
    """The Django view of one path: ``routes`` by method. An empty mapping is the
    unknown route, which asks for a token before it says so."""

    async def view(request: HttpRequest, **params: str) -> HttpResponseBase:
        started = metrics.clock()
        begun = begin(request)
        method = "GET" if request.method == "HEAD" else request.method or ""
        route = routes.get(method)
        actor: Actor | None = None
        response: HttpResponseBase
        try:
            actor = await _identify(request, route, routes, params)
            response = await _perform(request, route, routes, params, actor)
        except Exception as exc:  # noqa: BLE001 - the one place that renders them all
            error = as_caracal_error(exc)
            error = await _unless_dead(error, actor)
            response = _rendered(error, request, begun)
            await _record_refusal(actor, route, error)
        response["X-Request-ID"] = begun.request_id
        response["X-Content-Type-Options"] = "nosniff"
        response.headers.setdefault("Cache-Control", "no-store")
        metrics.observe(
            route.name if route else "unknown", response.status_code, started
        )
        return response

    return view


async def _perform(
    request: HttpRequest,
    route: Route | None,
    routes: Mapping[str, Route],
    params: dict[str, str],
    actor: Actor,
) -> HttpResponseBase:
    if actor.zone_id is not None and actor.zone_id != params.get(
        "zone_id", actor.zone_id
    ):
        raise ZoneMismatch
    if route is None:
        if routes:
            raise errors.MethodNotAllowed(
                [*routes, "HEAD"] if "GET" in routes else [*routes]
            )
        raise errors.RouteNotFound
    for value in params.values():
        if not is_id(value):
            raise errors.InvalidParams
    call = Call(request, params, actor)
    if route.body is not None:
        call.body = bodies.read_json(request, route.body, optional=route.body_optional)
    elif not route.form and getattr(request, "body_too_large", False):
        raise errors.PayloadTooLarge
    if not route.form:
        call.query = bodies.read_query(request.GET, route.query)
    context.expect_status(route.status)
    return await route.view(call)


async def _identify(
    request: HttpRequest,
    route: Route | None,
    routes: Mapping[str, Route],
    params: Mapping[str, str],
) -> Actor:
    access = route.access if route else _access_of(routes)
    source = context.current().source
    if access is Access.PUBLIC:
        await _count(route, source)
        return ANONYMOUS
    try:
        actor = await authenticate(request, route, access, params)
    except (MissingToken, InvalidToken):
        await rates.check_async(
            "coordinator_anonymous", source, settings.COORDINATOR_RATE_LIMIT_PER_MIN
        )
        raise
    if access is Access.CALLER:
        subject = f"{actor.zone_id}:{actor.client_id}"
        if not await _count(route, subject):
            await rates.check_async(
                "coordinator", subject, settings.COORDINATOR_RATE_LIMIT_PER_MIN
            )
    return actor


async def _count(route: Route | None, subject: str) -> bool:
    """Counts one request of ``subject`` against the route's own limit; False when it
    has none. Raises ``route.limited``."""
    if route is None or route.limit is None:
        return False
    try:
        await rates.check_async(route.bucket or route.name, subject, route.limit())
    except errors.RateLimited as limited:
        raise route.limited(headers=limited.headers) from None
    return True


def _access_of(routes: Mapping[str, Route]) -> Access:
    # A wrong method needs what the path's own methods need.
    found = {route.access for route in routes.values()}
    return found.pop() if len(found) == 1 else Access.CALLER


async def authenticate(
    request: HttpRequest, route: Route | None, access: Access, params: Mapping[str, str]
) -> Actor:
    """The caller of a route that needs one (contract: coordinator.md 2.2, 2.3)."""
    token = bearer_of(request)
    if access in (Access.OPERATOR, Access.METRICS):
        if is_operator_token(token) or (
            access is Access.METRICS and is_metrics_bearer(token)
        ):
            return ANONYMOUS
        raise OperatorTokenRequired
    if is_operator_token(token):
        zone_id = params.get("zone_id", "")
        if route is None or not route.operator or not is_id(zone_id):
            raise InvalidToken
        return actors.operator(zone_id, settings.AGENT_COORDINATOR_SCOPE)
    verifier = _verifier()
    actor: Actor = verifier.cached(token) or await in_db(verifier.authenticate, token)
    return actor


def bearer_of(request: HttpRequest) -> str:
    """The bearer token of the request. Raises MissingToken."""
    header = request.META.get("HTTP_AUTHORIZATION", "")
    token = header[7:].strip() if header.startswith("Bearer ") else ""
    if not token or len(token) > MAX_TOKEN_LENGTH:
        raise MissingToken
    return str(token)


def is_operator_token(token: str) -> bool:
    configured = settings.CARACAL_COORDINATOR_TOKEN
    return bool(configured) and sealing.same(token, configured)


def is_metrics_bearer(token: str) -> bool:
    return bool(settings.METRICS_BEARER) and sealing.same(
        token, settings.METRICS_BEARER
    )


@cache
def _verifier() -> Any:
    return import_module(settings.COORDINATOR_VERIFIER)


def as_caracal_error(exc: BaseException) -> errors.CaracalError:
    """The platform's error for whatever the pipeline or a view raised."""
    if isinstance(exc, errors.CaracalError):
        return exc
    if isinstance(exc, TooManyFieldsSent):
        return errors.InvalidQuery()
    if isinstance(exc, DatabaseError | InterfaceError | PoolTimeout):
        translated = database.translate(exc)
        if translated is not None:
            return translated
    log.error("request failed", exc_info=exc)
    return errors.InternalError()


async def _unless_dead(
    error: errors.CaracalError, actor: Actor | None
) -> errors.CaracalError:
    is_early = error.status in BEFORE_LOOKUP or isinstance(error, EARLY)
    if actor is None or not actor.id or not is_early or isinstance(error, ZoneMismatch):
        return error
    try:
        await in_db(_verifier().check_alive, actor)
    except errors.CaracalError as dead:
        return dead
    except (DatabaseError, PoolTimeout):
        return error
    return error


def _rendered(
    error: errors.CaracalError, request: HttpRequest, begun: context.RequestContext
) -> HttpResponse:
    rendered = errors.render(
        error, request_id=begun.request_id, accept=request.META.get("HTTP_ACCEPT", "")
    )
    content_type = rendered.headers.pop("Content-Type")
    response = answer(rendered.body, status=rendered.status, headers=rendered.headers)
    response["Content-Type"] = content_type
    return response


async def _record_refusal(
    actor: Actor | None,
    route: Route | None,
    error: errors.CaracalError,
) -> None:
    if actor is None or not actor.id or route is None or not route.mutates:
        return
    recorder = import_string(settings.REFUSAL_RECORDER)
    # Under the zone the caller belongs to, never one that only stands in the path.
    zone_id = None if isinstance(error, errors.ZoneNotFound) else actor.zone_id
    try:
        await in_db(recorder, actor, error, zone_id=zone_id)
    except (DatabaseError, PoolTimeout):
        log.warning("refusal not recorded", extra={"code": error.code})
