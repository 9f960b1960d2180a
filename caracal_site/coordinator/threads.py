"""The one crossing from the event loop into synchronous code."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import cache
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from caracal_site import database

P = ParamSpec("P")
T = TypeVar("T")
Crossing = tuple[
    asyncio.AbstractEventLoop, "asyncio.Future[Any]", Context, Callable[[], Any]
]


async def in_db(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs ``function`` in a database thread and returns its result.

    ``function`` is a whole transaction, or a single statement: it is run again when
    it fell victim to a deadlock. Each thread keeps the connection it took from the
    pool until that fails.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    _waiting().put((loop, future, copy_context(), lambda: function(*args, **kwargs)))
    return await future


@cache
def _waiting() -> SimpleQueue[Crossing]:
    # A plain queue and threads that live as long as the process: an executor's futures
    # and their chaining cost more than a short statement does.
    waiting: SimpleQueue[Crossing] = SimpleQueue()
    for number in range(settings.COORDINATOR_DB_THREADS):
        threading.Thread(
            target=_serve, args=(waiting,), name=f"db-{number}", daemon=True
        ).start()
    return waiting


def _serve(waiting: SimpleQueue[Crossing]) -> None:
    while True:
        loop, future, context, work = waiting.get()
        result, error = None, None
        try:
            result = database.retried(lambda: context.run(work))  # noqa: B023
        except BaseException as exc:  # noqa: BLE001 - handed to the one who waits
            error = exc
            if isinstance(exc, DatabaseError | InterfaceError):
                connection.close()
        loop.call_soon_threadsafe(_settle, future, result, error)
        del future, context, work, result, error


def _settle(
    future: asyncio.Future[Any], result: Any, error: BaseException | None
) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
