"""Whether this deployment can do its work: the facts behind ``/ready``.

Each check is bounded, touches at most a few rows and raises nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from django.conf import settings
from django.db import Error, OperationalError, connection
from psycopg_pool import PoolTimeout
from redis import RedisError

from caracal_site import statements, timetable
from caracal_site.bounded import SharedRun
from caracal_site.errors import CaracalError
from caracal_site.stores import TIMEOUT_SECONDS, redis_client
from caracal_site.tasks import HEARTBEAT


class Unready(CaracalError):
    """The service cannot do its work at the moment."""

    code = "unready"
    status = 503

    def __init__(self, dependency: str | None = None, **extra: object) -> None:
        known = {"dependency": dependency} if dependency else {}
        super().__init__(extra={"ok": False, **known, **extra})


class Draining(Unready):
    """This process is shutting down and takes no new work."""

    code = "draining"


class PostgresUnreachable(Unready):
    """The database does not answer."""

    code = "postgres_unreachable"


class RedisUnreachable(Unready):
    """Redis does not answer; requests are served, news and jobs wait for it."""

    code = "redis_unreachable"


class OutboxUnreachable(Unready):
    """The outbox cannot be read."""

    code = "outbox_unreachable"


class OutboxDeadMessages(Unready):
    """Events are parked that cannot be published; an operator has to look at them."""

    code = "outbox_dead_messages"


class WorkersUnreachable(Unready):
    """No worker has reported lately: expiry, publishing and sealing stand still."""

    code = "workers_unreachable"


class JobsStuck(Unready):
    """Background jobs have not come to an end for too long: the console's jobs page
    says which, and what they met last."""

    code = "jobs_stuck"


_draining = threading.Event()
_listeners: list[Callable[[], None]] = []


def begin_draining() -> None:
    """Makes this process unready for good, before it shuts down."""
    _draining.set()
    for listener in _listeners:
        listener()


def is_draining() -> bool:
    """Whether this process is about to shut down."""
    return _draining.is_set()


def on_draining(listener: Callable[[], None]) -> None:
    """Has ``listener`` called when draining begins, in a signal handler: it may only
    leave a note."""
    _listeners.append(listener)


def fault() -> Unready | None:
    """The first thing that keeps the service from its work, or None.

    Order: draining, database, Redis, parked events, workers, jobs (contract:
    management-core.md 1).
    """
    if _draining.is_set():
        return Draining(draining=True)
    until = time.monotonic() + TIMEOUT_SECONDS
    database, redis = _database.begin(), _redis.begin()
    found = _within(database, until, PostgresUnreachable("postgres"))
    if isinstance(found, PostgresUnreachable):
        return found
    return _within(redis, until, RedisUnreachable("redis")) or found


def _within(run: Future[Unready | None], until: float, late: Unready) -> Unready | None:
    try:
        return run.result(max(0.0, until - time.monotonic()))
    except TimeoutError:
        return late


def _ask_redis() -> Unready | None:
    try:
        answers = redis_client().ping()
    except (RedisError, OSError):
        answers = False
    return None if answers is True else RedisUnreachable("redis")


def _ask_database() -> Unready | None:
    try:
        _reach()
    except (Error, PoolTimeout):
        return PostgresUnreachable("postgres")
    try:
        parked, age = statements.fetch_one(
            "caracal_site/readiness", {"name": HEARTBEAT}
        )
    except (Error, PoolTimeout):
        return OutboxUnreachable("postgres")
    limit = settings.API_READY_OUTBOX_DEAD_MAX
    if parked > limit:
        return OutboxDeadMessages(deadCount=parked, limit=limit)
    if age is None or age > settings.WORKER_HEARTBEAT_MAX_AGE_SECONDS:
        return WorkersUnreachable("workers")
    return _ask_jobs()


def _ask_jobs() -> Unready | None:
    due = {
        name: timetable.stuck_after(period)
        for name, period in timetable.periods().items()
    }
    try:
        stuck = statements.fetch_all(
            "caracal_site/stuck_jobs",
            {"names": list(due), "seconds": list(due.values())},
        )
    except (Error, PoolTimeout):
        return OutboxUnreachable("postgres")
    if stuck:
        return JobsStuck("workers", jobs=[name for (name,) in stuck])
    return None


def _reach() -> None:
    try:
        _select_one()
    except OperationalError:
        # A pooled connection that did not outlive a restart of the database says
        # nothing about the database of now.
        connection.close()
        pool = getattr(connection, "pool", None)
        if pool is not None:
            pool.check()
        _select_one()


def _select_one() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


_database = SharedRun(_ask_database)
_redis = SharedRun(_ask_redis)
