"""The one crossing from the event loop into synchronous code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import OperationalError, connection

from caracal_site import database

P = ParamSpec("P")
T = TypeVar("T")


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(settings.COORDINATOR_DB_THREADS, thread_name_prefix="db")


async def in_db(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs ``function`` in a database thread and returns its result.

    ``function`` is a whole transaction, or a single statement: it is run again when
    it fell victim to a deadlock. Its connection goes back to the pool afterwards.
    """
    running = copy_context()

    def cross() -> T:
        try:
            return database.retried(lambda: running.run(function, *args, **kwargs))
        except OperationalError:
            _forget_dead_connections()
            raise
        finally:
            connection.close()

    return await asyncio.get_running_loop().run_in_executor(_threads(), cross)


def _forget_dead_connections() -> None:
    # After a restart of the database every pooled connection is dead; without this
    # each of them would fail one more request.
    connection.close()
    if connection.pool is not None:
        connection.pool.check()
