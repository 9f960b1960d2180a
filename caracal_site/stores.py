"""Redis for jobs and probes: bounded waits, and no retry behind the caller's back."""

from __future__ import annotations

from functools import cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

TIMEOUT_SECONDS = 5.0


def redis_client() -> redis.Redis:
    """The process's client; a command takes at most ``TIMEOUT_SECONDS`` or raises
    RedisError."""
    return connect(settings.REDIS_URL)


@cache
def connect(url: str, purpose: str = "") -> redis.Redis:
    """The process's client of the Redis at ``url``, with the same bounds. One for a
    ``purpose`` shares no connection with any other."""
    return redis.Redis.from_url(
        url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
