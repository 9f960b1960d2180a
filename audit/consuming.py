"""Reading a Redis stream as a consumer group: at least once, and never waiting.

What was read stays pending until it is acknowledged, so a run that is interrupted
leaves it to the next. A group that is missing, because Redis lost its data or never had
it, is made to begin with the oldest entry there is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import redis

BEGINNING = b"0-0"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a stream. One that was trimmed away after it had been read has no
    fields."""

    source_id: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group of a stream, read by one run at a time as ``consumer``."""

    stream: str
    name: str
    consumer: str
    batch: int

    def adopt(self, client: redis.Redis, *, idle_seconds: float) -> int:
        """Makes what other consumers left unacknowledged for so long this one's own.

        Returns how many pending entries are forgotten: they were trimmed away.
        """
        claim = partial(
            client.xautoclaim,
            self.stream,
            self.name,
            self.consumer,
            min_idle_time=int(idle_seconds * 1000),
            count=self.batch,
        )
        start, _, gone = self._asked(client, claim)
        trimmed = len(gone)
        while start != BEGINNING:
            start, _, gone = claim(start_id=start)
            trimmed += len(gone)
        return trimmed

    def batches(self, client: redis.Redis, until: float) -> Iterator[list[Entry]]:
        """First what an interrupted run had read, then what is new, until there is no
        more or ``until`` on the monotonic clock. Each batch has to be acknowledged
        before the next is asked for."""
        for start in ("0", ">"):
            while time.monotonic() < until and (found := self._read(client, start)):
                yield found

    def _read(self, client: redis.Redis, start: str) -> list[Entry]:
        read = partial(
            client.xreadgroup,
            self.name,
            self.consumer,
            {self.stream: start},
            count=self.batch,
        )
        answer = self._asked(client, read)
        return [
            Entry(source_id.decode(), _decoded(fields or {}))
            for _, entries in answer
            for source_id, fields in entries
        ]

    def _asked(self, client: redis.Redis, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except redis.ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
        try:
            # From the beginning: what was sent before the first start counts as well.
            client.xgroup_create(self.stream, self.name, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
        return ask()


def _decoded(fields: dict[bytes, bytes]) -> dict[str, str]:
    return {
        name.decode(errors="replace"): value.decode(errors="replace")
        for name, value in fields.items()
    }
