"""``GET /step-up/{id}``: waiting for a person's answer (contract: tokens.md 10)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from audit.errors import TooManyOwnWaiters, TooManyWaiters
from audit.waiting import Turn, room
from caracal_site import context
from caracal_site.actors import Actor, operator
from caracal_site.coordinator.answers import answer
from caracal_site.coordinator.endpoint import bearer_of, is_operator_token
from caracal_site.coordinator.errors import (
    IdentityRevoked,
    InvalidToken,
    MissingScope,
    MissingToken,
)
from caracal_site.coordinator.handler import disconnected
from caracal_site.coordinator.routes import Access, Call, Route
from caracal_site.coordinator.threads import in_db
from caracal_site.errors import RateLimited
from tokens import bearer, services
from tokens.services import Standing

LONGEST_WAIT_SECONDS = 30
CLOCKS_APART_SECONDS = 1.0


class WaitQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long to hold the answer back while the challenge is pending, in seconds."""

    wait: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_WAIT_SECONDS)] = 0


class StepUpBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a challenge stands. ``approver`` and ``metadata`` are for the application
    that asked, with its session token, and for the operator."""

    id: str
    challenge_type: str
    state: str
    satisfied: bool
    consumed: bool
    expires_at: str
    approver: str | None = None
    metadata: dict[str, Any] | None = None


async def step_up(call: Call) -> HttpResponse:
    """Whether a request was approved."""
    reader = await _reader(call.request)
    challenge_id = call.params["id"]
    found = await in_db(services.challenge_standing, challenge_id)
    if found.is_pending and call.query.wait:
        found = await _answered(call, found, call.query.wait)
    knows = reader is not None and _may_read(reader, found)
    return answer(found.for_requester() if knows else found.for_everybody())


async def _answered(call: Call, found: Standing, seconds: int) -> Standing:
    """How it stands once it was answered or its time is over, or after so many seconds.
    Who waits holds no thread and no connection, and asks the database when notified."""
    turn = _enter(call.request, found)
    if turn is None:
        return found
    loop = asyncio.get_running_loop()
    lasts = (found.expires_at - datetime.now(UTC)).total_seconds()
    until = loop.time() + min(seconds, max(lasts, 0) + CLOCKS_APART_SECONDS)
    try:
        # What was answered before the turn began notified nobody.
        turn.wake()
        while found.is_pending and (left := until - loop.time()) > 0:
            await turn.news(left)
            if turn.is_over:
                break
            found = await in_db(services.challenge_standing, found.id)
    finally:
        turn.leave()
    return found


def _enter(request: HttpRequest, found: Standing) -> Turn | None:
    """A place among those that wait; None when there is none left."""
    topic = f"{services.ANSWERED}{found.id}"
    try:
        turn = room.enter(topic, f"step-up {context.current().source}")
    except (TooManyWaiters, TooManyOwnWaiters):
        return None
    turn.end_with(lambda: disconnected(request))
    return turn


async def _reader(request: HttpRequest) -> Actor | None:
    """Who asks, if they prove it; the route is open to everybody else as well."""
    try:
        token = bearer_of(request)
        if is_operator_token(token):
            return operator("", settings.AGENT_COORDINATOR_SCOPE)
        actor = bearer.cached(token)
        if actor is None:
            actor = await in_db(bearer.authenticate, token)
        await in_db(bearer.check_alive, actor)
    except (MissingToken, InvalidToken, MissingScope, IdentityRevoked, RateLimited):
        return None
    return actor


def _may_read(reader: Actor, found: Standing) -> bool:
    if reader.is_operator:
        return True
    is_own = reader.client_id == found.application_id
    return is_own and reader.zone_id == found.zone_id


routes = [
    Route(
        "GET",
        "/step-up/{id}",
        "step-up",
        step_up,
        "Wait for the approval of a token request",
        access=Access.PUBLIC,
        query=WaitQuery,
        answer=StepUpBody,
        errors=("resource_not_found", "challenge_expired"),
        tags=("tokens",),
    ),
]
