"""Failed authentication: counted, recorded and limited by source (D6, D23).

A source over its limit is remembered until the minute turns. What it presents until
then is looked at in memory only: neither Redis nor the database is asked on behalf of
somebody who guesses, and a token in force still opens.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from importlib import import_module

from django.conf import settings
from django.db import DatabaseError
from prometheus_client import Counter
from psycopg_pool import PoolTimeout

from caracal_site import rates
from caracal_site.errors import CaracalError, RateLimited

BUCKET = "admin_auth_fail"
REMEMBERED = 10_000

log = logging.getLogger(__name__)
failures = Counter(
    "caracal_failed_authentications", "Callers nobody knows, by door.", ["door"]
)


class _Blocked:
    """Until when each source over its limit has to wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def seconds(self, source: str) -> int:
        """How long the source has to wait; 0 when it has not."""
        until = self._until.get(source)
        if until is None:
            return 0
        left = until - time.monotonic()
        if left <= 0:
            with self._lock:
                self._until.pop(source, None)
            return 0
        return math.ceil(left)

    def block(self, source: str, seconds: int) -> None:
        with self._lock:
            if len(self._until) >= REMEMBERED:
                self._until.clear()
            self._until[source] = time.monotonic() + seconds

    def clear(self) -> None:
        with self._lock:
            self._until.clear()


blocked = _Blocked()


def is_over_limit(source: str) -> bool:
    """Whether this process knows that the source has failed too often this minute."""
    return bool(settings.ADMIN_AUTH_FAIL_LIMIT_PER_MIN) and blocked.seconds(source) > 0


def refuse(source: str, error: CaracalError) -> CaracalError:
    """What to raise about a failure at the Management API: ``error``, or RateLimited
    past ``ADMIN_AUTH_FAIL_LIMIT_PER_MIN``. Leaves what there is to leave about it."""
    note("management-api", error)
    if is_over_limit(source):
        return RateLimited(retry_after=blocked.seconds(source))
    try:
        rates.check(BUCKET, source, settings.ADMIN_AUTH_FAIL_LIMIT_PER_MIN)
    except RateLimited as limited:
        blocked.block(source, int(limited.headers["Retry-After"]))
        return limited
    return error


def note(door: str, error: CaracalError, *, username: str = "") -> None:
    """Counts a failure, and records it once per source and minute."""
    failures.labels(door).inc()
    recorder = import_module(settings.AUTHENTICATION_RECORDER)
    try:
        recorder.failed(door, error, username=username)
    except (DatabaseError, PoolTimeout):
        log.warning("failed authentication not recorded", extra={"door": door})
