"""What every background job does besides its work: a context, a record, a bounded fuss.

A job that runs every second would write its record more often than its result: an idle
run is only counted in memory and written with a later one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import wraps
from typing import ParamSpec

import orjson
from django.db import DatabaseError, InterfaceError, OperationalError
from django.utils import timezone
from psycopg_pool import PoolTimeout
from redis import RedisError

from caracal_site import context, database, statements
from caracal_site.errors import CaracalError, LockTimeout, ServiceUnavailable
from caracal_site.ids import first_id_at

P = ParamSpec("P")
# A store is away or busy: the next run does the work.
OUTAGES = (
    OperationalError,
    InterfaceError,
    PoolTimeout,
    RedisError,
    LockTimeout,
    ServiceUnavailable,
)
QUIET_SECONDS = 5.0
ERROR_LENGTH = 500
BATCH_SIZE = 1_000
BATCHES_SECONDS = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did: rows handled, rows left for the next run, what went wrong, and
    what else it counted, by name."""

    handled: int = 0
    backlog: int = 0
    error: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


class Sweep:
    """What a job did that goes zone by zone, and the zones that failed in it: those
    are left for the next run and keep no other waiting."""

    def __init__(self) -> None:
        self.handled = 0
        self.failed: dict[str, str] = {}

    def carry_out(self, zone_id: str, batch: Callable[[], int]) -> int:
        """Runs one batch of a zone, a whole transaction; returns what it handled."""
        try:
            handled = database.retried(batch)
        except (DatabaseError, CaracalError) as error:
            log.exception("sweep failed in a zone", extra={"zone_id": zone_id})
            self.failed[zone_id] = type(error).__name__
            return 0
        self.handled += handled
        return handled

    def drain(self, zone_id: str, batch: Callable[[], int], limit: int) -> None:
        """Runs batches of a zone until one handles less than ``limit``."""
        while self.carry_out(zone_id, batch) >= limit:
            pass

    def outcome(self) -> Outcome:
        told = ", ".join(f"{zone}: {why}" for zone, why in self.failed.items())
        return Outcome(
            self.handled, backlog=len(self.failed), error=told[:ERROR_LENGTH]
        )


def job(
    name: str, *, quiet_seconds: float = QUIET_SECONDS
) -> Callable[[Callable[P, Outcome | int | None]], Callable[P, Outcome]]:
    """Makes a function the job called ``name``.

    The function runs in a ``context.job`` and returns an Outcome, or how many rows it
    handled. An outage of the database or Redis is logged and counted, never raised;
    any other exception is counted and raised. Runs go into ``job_runs``: at once when
    they handled something or failed, else at most every ``quiet_seconds``.
    """

    def decorate(work: Callable[P, Outcome | int | None]) -> Callable[P, Outcome]:
        record = _Record(name, quiet_seconds)

        @wraps(work)
        def run(*args: P.args, **kwargs: P.kwargs) -> Outcome:
            started = time.monotonic()
            outcome = Outcome(error="unexpected error, see the log")
            is_complete = False
            try:
                with context.job(name):
                    outcome = _outcome_of(work(*args, **kwargs))
                is_complete = True
            except OUTAGES as error:
                outcome = Outcome(error=_sentence(error))
            finally:
                if outcome.error:
                    log.warning(
                        "job failed", extra={"job": name, "error": outcome.error}
                    )
                record.add(outcome, time.monotonic() - started, is_complete=is_complete)
            return outcome

        run.__job_name__ = name  # type: ignore[attr-defined]
        return run

    return decorate


def in_batches(
    statement: str,
    parameters: Mapping[str, object],
    *,
    seconds: float = BATCHES_SECONDS,
) -> Outcome:
    """Runs a named statement until it finds less than a batch, or for ``seconds``.

    The statement takes ``limit``, the size of a batch; each run is a transaction of
    its own. Out of time, the backlog is as large as the last batch at least.
    """
    until = time.monotonic() + seconds
    changed, last = 0, BATCH_SIZE
    while last == BATCH_SIZE and time.monotonic() < until:
        last = statements.execute(statement, {**parameters, "limit": BATCH_SIZE})
        changed += last
    return Outcome(changed, backlog=last if last == BATCH_SIZE else 0)


def from_youngest(
    find: str,
    remove: str,
    parameters: Mapping[str, object],
    *,
    days: int,
    seconds: float = BATCHES_SECONDS,
) -> Outcome:
    """Removes rows older than ``days`` that may rest on one another, for ``seconds``.

    ``find`` answers the ids of up to ``limit`` rows with an id below ``before``,
    youngest first; ``remove`` deletes those of ``ids`` that nothing rests on. What
    rests on a row is younger and so goes before it; ``remove`` runs until it finds no
    more, a transaction each time. What cannot go is looked at once.
    """
    until = time.monotonic() + seconds
    before, removed = first_id_at(timezone.now() - timedelta(days=days)), 0
    while found := _found_below(before, find, {**parameters, "days": days}):
        if time.monotonic() > until:
            return Outcome(removed, backlog=len(found))
        while gone := statements.execute(remove, {"ids": found}):
            removed += gone
        before = found[-1]
    return Outcome(removed)


def _found_below(before: str, find: str, parameters: Mapping[str, object]) -> list[str]:
    among = {**parameters, "before": before, "limit": BATCH_SIZE}
    return [str(row[0]) for row in statements.fetch_all(find, among)]


def _outcome_of(result: Outcome | int | None) -> Outcome:
    return result if isinstance(result, Outcome) else Outcome(handled=result or 0)


def _sentence(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:ERROR_LENGTH]


class _Record:
    """The runs of one job in this process that are not in ``job_runs`` yet."""

    def __init__(self, name: str, quiet_seconds: float) -> None:
        self.name, self.quiet_seconds = name, quiet_seconds
        self.lock = threading.Lock()
        self.runs = self.failures = self.handled = 0
        self.counts: Counter[str] = Counter()
        self.failure = ""
        self.is_complete = False
        self.written_at = float("-inf")

    def add(self, outcome: Outcome, seconds: float, *, is_complete: bool) -> None:
        """Counts a run; writes when it is worth it or time. Never raises an outage."""
        with self.lock:
            self.runs += 1
            self.failures += bool(outcome.error)
            self.handled += outcome.handled
            self.counts.update(outcome.counts)
            self.failure = outcome.error or self.failure
            self.is_complete |= is_complete
            silence = time.monotonic() - self.written_at
            if not (outcome.handled or outcome.error) and silence < self.quiet_seconds:
                return
            try:
                self._write(replace(outcome, handled=self.handled), seconds)
            except OUTAGES as error:
                log.warning("job run not recorded", extra={"error": _sentence(error)})
                return
            self.runs = self.failures = self.handled = 0
            self.counts.clear()
            self.failure, self.is_complete = "", False
            self.written_at = time.monotonic()

    def _write(self, outcome: Outcome, seconds: float) -> None:
        statements.execute(
            "caracal_site/job_run",
            {
                "name": self.name,
                "seconds": seconds,
                "runs": self.runs,
                "failures": self.failures,
                "handled": outcome.handled,
                "counts": orjson.dumps(self.counts).decode(),
                "backlog": outcome.backlog,
                "error": outcome.error,
                "failure": self.failure,
                "is_complete": self.is_complete,
            },
        )
