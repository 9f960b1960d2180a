"""Forcing requests to meet: rows held until so many others wait for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connection, models, transaction

T = TypeVar("T")
# Less than a transaction waits for a lock in tests (manage.py test).
PATIENCE_SECONDS = 8.0
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@contextmanager
def held(*querysets: models.QuerySet[Any]) -> Iterator[Callable[[int], None]]:
    """Holds a lock on the rows; yields a function that returns once ``count`` other
    transactions wait for a lock. What was begun inside goes on when the block ends."""
    with transaction.atomic():
        for queryset in querysets:
            assert list(queryset.select_for_update().values_list("pk"))
        yield wait_for


def wait_for(count: int) -> None:
    """Returns when ``count`` transactions of this database wait for a lock."""
    given_up_at = time.monotonic() + PATIENCE_SECONDS
    with connection.cursor() as cursor:
        while time.monotonic() < given_up_at:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(WAITING)
            if cursor.fetchone()[0] >= count:
                return
    raise AssertionError(f"never did {count} transactions wait")


class Threads:
    """Threads for calls below the API, each with a connection of its own."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count)

    def start(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> Future[T]:
        def call() -> T:
            try:
                return function(*args, **kwargs)
            finally:
                connection.close()

        return self._pool.submit(call)

    def __enter__(self) -> Threads:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._pool.shutdown()
