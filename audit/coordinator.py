"""The coordinator's change feed: a zone's events as pages, or as a stream.

What consumers of the Redis streams missed they find here under the same numbers.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
import orjson
from django.conf import settings
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from msgspec import UNSET, Meta, UnsetType

from audit import feed
from audit.errors import EventsAhead, EventsExpired
from audit.feed import Page
from audit.waiting import Turn, room
from caracal_site import openapi
from caracal_site.coordinator.answers import answer
from caracal_site.coordinator.bodies import or_none
from caracal_site.coordinator.endpoint import as_caracal_error, authenticate
from caracal_site.coordinator.handler import disconnected
from caracal_site.coordinator.routes import Access, Call, Route
from caracal_site.coordinator.threads import in_db
from caracal_site.errors import CaracalError, InvalidQuery, RetryLater

MAX_SEQ = 2**63 - 1
SEQ = re.compile(r"[0-9]{1,19}\Z")
EVENT_STREAM = "text/event-stream"
RETRY = b"retry: 2000\n\n"
# How many pages without anything for the caller one request reads through.
MAX_PAGES = 20


class EventsQuery(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True
):
    """Where to go on, and how long to wait when there is nothing yet."""

    after: Annotated[int, Meta(ge=0, le=MAX_SEQ)] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    wait: Annotated[int, Meta(ge=0, le=25)] | UnsetType = UNSET


class PublishedEvent(msgspec.Struct):
    """An event: its dense number in the zone, the stream it went to, and its fields
    there, with the signature."""

    zone_seq: int
    topic: str
    published_at: str
    entry: dict[str, str]


class EventPage(msgspec.Struct):
    """``next_after`` is the ``after`` of the next request."""

    items: list[PublishedEvent]
    next_after: int
    last_seq: int


async def events(call: Call) -> HttpResponseBase:
    wanted = call.request.get_preferred_type(["application/json", EVENT_STREAM])
    if wanted == EVENT_STREAM and call.request.method != "HEAD":
        return await _stream(call)
    return answer((await _page_in_time(call)).as_json())


async def _page_in_time(call: Call) -> Page:
    """The next page with something in it, or the empty one of when time is over."""
    query: EventsQuery = call.query
    page = await _next_page(call, or_none(query.after))
    longest = settings.EVENT_WAIT_MAX_SECONDS
    seconds = longest if query.wait is UNSET else min(query.wait, longest)
    if page.events or not seconds or call.request.method == "HEAD":
        return page
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    turn = _enter(call)
    try:
        # What was published before the turn began notified nobody.
        turn.wake()
        while not page.events and (left := until - loop.time()) > 0:
            has_more = page.is_full or await turn.news(left)
            if turn.is_over or not has_more:
                break
            page = await _next_page(call, page.reached)
    finally:
        turn.leave()
    return page


async def _next_page(call: Call, after: int | None) -> Page:
    for _ in range(MAX_PAGES):
        page = await _read(call, after)
        if page.events or not page.is_full:
            break
        after = page.reached
    return page


async def _read(call: Call, after: int | None) -> Page:
    return await in_db(
        feed.page,
        call.actor,
        zone_id=call.zone_id,
        after=after,
        limit=call.query.limit,
    )


def _enter(call: Call) -> Turn:
    turn = room.enter(call.zone_id, f"{call.actor.zone_id}:{call.actor.client_id}")
    turn.end_with(lambda: disconnected(call.request))
    return turn


async def _stream(call: Call) -> StreamingHttpResponse:
    """The first page is read before the answer begins, so that a refusal is one."""
    first = await _read(call, _last_event_id(call))
    turn = _enter(call)
    response = StreamingHttpResponse(
        _parts(call, turn, first),
        content_type=EVENT_STREAM,
        headers={"X-Accel-Buffering": "no"},
    )
    response._resource_closers.append(turn.leave)  # type: ignore[attr-defined]
    return response


def _last_event_id(call: Call) -> int | None:
    """A client that comes back says where it was in a header, under the address it
    began with."""
    given = call.request.META.get("HTTP_LAST_EVENT_ID", "").strip()
    if not given:
        after: int | None = or_none(call.query.after)
        return after
    if not SEQ.match(given) or int(given) > MAX_SEQ:
        raise InvalidQuery("Last-Event-ID is not the number of an event.")
    return int(given)


async def _parts(call: Call, turn: Turn, page: Page) -> AsyncIterator[bytes]:
    """The zone's events until the client, the process or the caller's authority is
    gone."""
    yield RETRY
    turn.wake()
    while not turn.is_over:
        if page.events:
            yield b"".join(_message(event) for event in page.events)
        if not page.is_full and not await turn.news(settings.EVENT_HEARTBEAT_SECONDS):
            # Moves the place to come back to over what the caller does not see.
            yield b": still here\nid: %d\n\n" % page.reached
        if turn.is_over:
            return
        try:
            # Whether the token's time is over, and what it stands for in force.
            call.actor = await authenticate(
                call.request, ROUTE, Access.CALLER, call.params
            )
            page = await _read(call, page.reached)
        except Exception as exc:  # noqa: BLE001 - the answer has begun
            if not isinstance(as_caracal_error(exc), RetryLater):
                return
            page = Page([], page.reached, page.last_seq, is_full=False)


def _message(event: feed.Published) -> bytes:
    data = orjson.dumps(event.entry)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        event.zone_seq,
        event.topic.encode(),
        data,
    )


def _codes(*kinds: type[CaracalError]) -> tuple[str, ...]:
    return tuple(kind.code for kind in kinds)


LAST_EVENT_ID: dict[str, Any] = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "Of a stream: the last event received; goes before after.",
    "schema": {"type": "integer", "minimum": 0},
}
ROUTE = Route(
    "GET",
    "/zones/{zone_id}/events",
    "audit:event-feed",
    events,
    "Events of the zone after a number, waited for when there is none; or a stream.",
    query=EventsQuery,
    answer=EventPage,
    operator=True,
    errors=(*_codes(EventsExpired, EventsAhead), "too_many_waiters"),
    tags=("events",),
    extra={"parameters": [LAST_EVENT_ID], "other_media": {EVENT_STREAM: openapi.TEXT}},
)
routes = [ROUTE]
