"""Numbers about the whole installation, for metrics and statistics.

They come from the database, so every process tells the same ones; one process reads
them at most once in ``MAX_AGE_SECONDS``. Counts of tables that only grow are exact up
to ``SAMPLE_ROWS`` rows and estimated from a sample beyond.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
from django.db import Error
from psycopg_pool import PoolTimeout

from caracal_site import statements
from caracal_site.bounded import SharedRun
from caracal_site.errors import ServiceUnavailable

MAX_AGE_SECONDS = 15.0
WAIT_SECONDS = 5.0
SAMPLE_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A job's counters since the installation began, seconds since its last run, how
    long that took, and seconds since a run came to its end; what else it counted."""

    runs: int = 0
    failures: int = 0
    handled: int = 0
    backlog: int = 0
    age_seconds: float = 0.0
    took_seconds: float = 0.0
    silent_seconds: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """One reading. ``outbox`` and ``invocations`` have only statuses with rows."""

    pending: int
    oldest_pending_seconds: float
    dead: int
    oldest_dead_seconds: float
    unsealed: int
    outbox: dict[str, int]
    invocations: dict[str, int]
    jobs: dict[str, JobFacts]
    read_at: float = field(default_factory=time.monotonic)

    def job(self, name: str) -> JobFacts:
        """The counters of job ``name``, zeros when it has never run."""
        return self.jobs.get(name, JobFacts())


def current() -> Facts:
    """The last reading, or a fresh one. Raises ServiceUnavailable."""
    global _last
    if _last is None or time.monotonic() - _last.read_at > MAX_AGE_SECONDS:
        try:
            _last = _reading.begin().result(WAIT_SECONDS)
        except (Error, PoolTimeout, TimeoutError):
            raise ServiceUnavailable from None
    return _last


def _read() -> Facts:
    pending, pending_age, dead, dead_age, unsealed = statements.fetch_one(
        "caracal_site/evidence_facts", {}
    )
    sizes = dict(statements.fetch_all("caracal_site/table_sizes", {}))
    percent = _percent(sizes["event_outbox"])
    (published,) = statements.fetch_one(
        "caracal_site/published_sample", {"percent": percent}
    )
    outbox = {
        "pending": pending,
        "published": _scaled(published, percent),
        "dead": dead,
    }
    percent = _percent(sizes["agent_invocations"])
    sampled = statements.fetch_all(
        "caracal_site/invocations_sample", {"percent": percent}
    )
    jobs = statements.fetch_all("caracal_site/job_facts", {})
    return Facts(
        pending,
        pending_age,
        dead,
        dead_age,
        unsealed,
        {status: count for status, count in outbox.items() if count},
        {status: _scaled(count, percent) for status, count in sorted(sampled)},
        {
            name: JobFacts(*(*numbers, orjson.loads(counts)))
            for name, *numbers, counts in jobs
        },
    )


def _percent(rows: float) -> float:
    return min(100.0, 100.0 * SAMPLE_ROWS / max(rows, 1.0))


def _scaled(count: int, percent: float) -> int:
    return round(count * 100.0 / percent)


_last: Facts | None = None
_reading = SharedRun(_read)
