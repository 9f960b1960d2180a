"""Rate limits: fixed windows, of a minute unless told otherwise, counted in Redis with
one atomic call each (D6).

A limit of 0 is off. Without Redis every request passes, counted in
``caracal_rate_limiter_unavailable_total``; after a failure Redis is left alone for a
second, so that an outage costs no request its time.
"""

from __future__ import annotations

import time
from functools import cache

import redis
import redis.asyncio
from django.conf import settings
from prometheus_client import Counter

from caracal_site.errors import RateLimited

# Windows of so many seconds, by the clock of Redis; a key is of one window, so that
# none outlives it for long. Returns the count in the window and the seconds until the
# next one.
WINDOW = """
local now = redis.call('TIME')
local seconds = tonumber(ARGV[1])
local key = KEYS[1] .. ':' .. math.floor(now[1] / seconds)
local count = redis.call('INCR', key)
if count == 1 then redis.call('EXPIRE', key, seconds + 30) end
return {count, seconds - now[1] % seconds}
"""
TIMEOUT_SECONDS = 0.25
PAUSE_SECONDS = 1.0

unavailable = Counter(
    "caracal_rate_limiter_unavailable", "Requests let through because Redis was away."
)
limited = Counter(
    "caracal_rate_limited", "Requests refused by a rate limit.", ["bucket"]
)
_paused_until = 0.0


@cache
def _sync_client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
    )


@cache
def _async_client() -> redis.asyncio.Redis:
    return redis.asyncio.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
    )


def check(bucket: str, subject: str, limit: int, *, seconds: int = 60) -> None:
    """Counts one request of ``subject``; raises RateLimited past ``limit`` in so many
    seconds."""
    if limit and not _paused():
        try:
            answer = _sync_client().eval(
                WINDOW, 1, f"caracal:rate:{bucket}:{subject}", seconds
            )
        except redis.RedisError:
            _pause()
        else:
            _judge(bucket, limit, answer)


async def check_async(bucket: str, subject: str, limit: int) -> None:
    """``check`` for the event loop, in windows of a minute."""
    if limit and not _paused():
        try:
            answer = await _async_client().eval(
                WINDOW, 1, f"caracal:rate:{bucket}:{subject}", 60
            )
        except redis.RedisError:
            _pause()
        else:
            _judge(bucket, limit, answer)


def _judge(bucket: str, limit: int, answer: list[int]) -> None:
    count, seconds = answer
    if count > limit:
        limited.labels(bucket).inc()
        raise RateLimited(retry_after=max(1, int(seconds)))


def _paused() -> bool:
    if time.monotonic() < _paused_until:
        unavailable.inc()
        return True
    return False


def _pause() -> None:
    global _paused_until
    unavailable.inc()
    _paused_until = time.monotonic() + PAUSE_SECONDS
