"""Writes at a steady pace, and how long their news takes to its stream.

A pace is kept whatever the answers do, so that a slow server is not asked less. News
is timed by the clocks of its two ends, which are one on one machine: from the beginning
of the transaction that wrote it, which is before its COMMIT, to its stream's entry.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from audit.models import OutboxEvent

RECEIVED = 65_536
PATIENCE_SECONDS = 60


@dataclass
class Kept:
    """What became of a pace: seconds of each request, statuses, requests sent late."""

    took: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    late: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.took) / self.seconds


def pace(connections: Sequence[Any], request: bytes, rate: float, count: int) -> Kept:
    """Sends ``request`` ``count`` times, ``rate`` times a second."""
    kept, guard = Kept(), threading.Lock()
    began = time.perf_counter()

    def send(place: int) -> None:
        for nth in range(place, count, len(connections)):
            ahead = began + nth / rate - time.perf_counter()
            time.sleep(max(0.0, ahead))
            started = time.perf_counter()
            status = _ask(connections[place], request)
            with guard:
                kept.took.append(time.perf_counter() - started)
                kept.statuses[status] = kept.statuses.get(status, 0) + 1
                kept.late += ahead < -1 / rate

    threads = [
        threading.Thread(target=send, args=(place,))
        for place in range(len(connections))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept.seconds = time.perf_counter() - began
    return kept


def _ask(connection: Any, request: bytes) -> int:
    connection.sock.sendall(request)
    while connection.feed(connection.sock.recv(RECEIVED)) is None:
        pass
    return int(connection.status)


def newest(client: redis.Redis, stream: str) -> str:
    """The last entry of a stream."""
    found: Any = client.xrevrange(stream, count=1)
    return found[0][0].decode() if found else "0-0"


def arrivals(
    client: redis.Redis, stream: str, after: str, zone_id: str
) -> dict[str, list[int]]:
    """When each event of a zone came to the stream, in milliseconds, by its id."""
    found: dict[str, list[int]] = {}
    entries: Any = client.xrange(stream, min=f"({after}")
    for place, fields in entries:
        if fields[b"zone_id"].decode() == zone_id:
            at = int(place.split(b"-")[0])
            found.setdefault(fields[b"outbox_id"].decode(), []).append(at)
    return found


def written(zone_id: str, stream: str) -> dict[str, float]:
    """When the transaction of each event of a zone began, in milliseconds."""
    rows = OutboxEvent.objects.filter(zone_id=zone_id, topic=stream)
    until = time.monotonic() + PATIENCE_SECONDS
    while rows.pending().exists() and time.monotonic() < until:
        time.sleep(0.2)
    found: Iterable[Any] = rows.values_list("id", "created_at")
    return {id_: at.timestamp() * 1000 for id_, at in found}


def share(values: Sequence[float], percent: float) -> float:
    """The value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
