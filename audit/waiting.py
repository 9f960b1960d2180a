"""Who of this process waits for events, and the one connection that wakes them.

The publisher notifies of each zone it has published for (``mark_published.sql``). One
task listens for all; a waiting request is an entry in a set and holds no thread and no
connection. What a notification says is only that looking is worth it: while the
listener has no connection everybody looks every ``FALL_BACK_SECONDS`` instead, and
everybody once when it has a new one. So nothing depends on a notification arriving.

All of it belongs to the event loop of the process.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection
from prometheus_client import Counter as MetricCounter
from prometheus_client import Gauge

from audit.errors import TooManyOwnWaiters, TooManyWaiters
from caracal_site import health

CHANNEL = "caracal_events"
APPLICATION_NAME = "caracal-events"
FALL_BACK_SECONDS = 2.0
# A connection that says nothing for so long is asked whether it is still there.
QUIET_SECONDS = 15.0
PATIENCE_SECONDS = 5.0

log = logging.getLogger(__name__)
waiters = Gauge(
    "caracal_event_waiters",
    "Requests of this process waiting for events.",
    multiprocess_mode="livesum",
)
refused = MetricCounter(
    "caracal_event_waiters_refused", "Requests that could not wait for events."
)
listening = Gauge(
    "caracal_event_listener_up", "Whether this process is notified of events."
)


class Turn:
    """One request's place among those that wait. ``is_over`` when there is nobody or
    no process left to wait for."""

    def __init__(self, room: WaitingRoom, zone_id: str, caller: str) -> None:
        self.zone_id, self.caller = zone_id, caller
        self.is_over = False
        self._room = room
        self._news = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    def end_with(self, departure: Callable[[], Awaitable[None]]) -> None:
        """Ends the turn when ``departure`` returns."""
        self._watch = asyncio.create_task(self._until(departure))

    async def _until(self, departure: Callable[[], Awaitable[None]]) -> None:
        await departure()
        self.end()

    async def news(self, seconds: float) -> bool:
        """Waits for something to look for, at most so long: whether there is. News
        that came since the last call count."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return True

    def wake(self) -> None:
        self._news.set()

    def end(self) -> None:
        self.is_over = True
        self._news.set()

    def leave(self) -> None:
        """Gives the place back; may be called twice."""
        if self._watch is not None:
            self._watch.cancel()
        self._room.leave(self)


class WaitingRoom:
    """The turns of one event loop."""

    def __init__(self) -> None:
        self._turns: dict[str, set[Turn]] = defaultdict(set)
        self._callers: Counter[str] = Counter()
        self._listener: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def enter(self, zone_id: str, caller: str) -> Turn:
        """A turn for ``caller``. Raises TooManyWaiters or TooManyOwnWaiters."""
        if self._callers.total() >= settings.EVENT_WAITERS_MAX:
            refused.inc()
            raise TooManyWaiters
        if self._callers[caller] >= settings.EVENT_WAITERS_PER_CALLER:
            refused.inc()
            raise TooManyOwnWaiters
        self._begin()
        turn = Turn(self, zone_id, caller)
        self._turns[zone_id].add(turn)
        self._callers[caller] += 1
        waiters.set(self._callers.total())
        if health.is_draining():
            turn.end()
        return turn

    def leave(self, turn: Turn) -> None:
        turns = self._turns.get(turn.zone_id, set())
        if turn not in turns:
            return
        turns.remove(turn)
        if not turns:
            del self._turns[turn.zone_id]
        self._callers[turn.caller] -= 1
        self._callers += Counter()
        waiters.set(self._callers.total())

    def end_all(self) -> None:
        """Sends everybody home: the process is about to stop."""
        for turn in self._everybody():
            turn.end()

    async def close(self) -> None:
        """Lets go of the connection; the next who waits has a new one."""
        self.end_all()
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
            self._listener = None

    def _everybody(self) -> Iterable[Turn]:
        return [turn for turns in self._turns.values() for turn in turns]

    def _wake(self, turns: Iterable[Turn]) -> None:
        for turn in turns:
            turn.wake()

    def _begin(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            health.on_draining(self._on_draining)
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._listen())

    def _on_draining(self) -> None:
        # In a signal handler.
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.end_all)

    async def _listen(self) -> None:
        while True:
            try:
                async with _connected() as notified:
                    listening.set(1)
                    self._wake(self._everybody())
                    await self._pass_on(notified)
            except (psycopg.Error, OSError, TimeoutError) as error:
                log.warning("events not listened for", extra={"error": str(error)})
            finally:
                listening.set(0)
            await asyncio.sleep(FALL_BACK_SECONDS)
            self._wake(self._everybody())

    async def _pass_on(self, notified: psycopg.AsyncConnection[Any]) -> None:
        while True:
            async for notice in notified.notifies(timeout=QUIET_SECONDS):
                self._wake(self._turns.get(notice.payload, ()))
            async with asyncio.timeout(PATIENCE_SECONDS):
                await notified.execute("SELECT 1")


@asynccontextmanager
async def _connected() -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A connection of its own, outside the pool, that is notified."""
    parameters = connection.get_connection_params()
    for only_for_statements in ("cursor_factory", "context", "prepare_threshold"):
        parameters.pop(only_for_statements, None)
    parameters["application_name"] = APPLICATION_NAME
    async with asyncio.timeout(PATIENCE_SECONDS):
        made = await psycopg.AsyncConnection.connect(**parameters, autocommit=True)
    try:
        await made.execute(f"LISTEN {CHANNEL}")
        yield made
    finally:
        await made.close()


room = WaitingRoom()
