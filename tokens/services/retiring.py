"""The end of what token requests leave: old sessions and requests for approval.

They go ``SESSION_RETENTION_DAYS`` after their end, and not before the decisions that
name them may go: a longer retention of decisions in a zone keeps them as well, and its
legal hold keeps all. A session that an agent was spawned on stays as long as the
agent's row, and so does what another session was made from.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.utils import timezone

from audit import retention
from caracal_site import locks, statements
from caracal_site.ids import first_id_at
from caracal_site.jobs import Outcome, Sweep
from caracal_site.locks import LockClass
from zones.models import Zone

BATCH = 1_000
RUN_SECONDS = 60.0
JOB = "retire sessions"
# Decisions go in a job of their own; and clocks that make ids are apart.
SLACK = timedelta(days=1)
APART = timedelta(hours=1)


def retire_sessions(*, seconds: float = RUN_SECONDS) -> Outcome:
    """Removes what is past its retention, zone by zone, for ``seconds`` at most."""
    until = time.monotonic() + seconds
    sweep = Sweep()
    with locks.held(LockClass.JOB, JOB) as is_mine:
        for zone_id, before in (_cutoffs() if is_mine else {}).items():
            if time.monotonic() > until:
                break
            _Zone(sweep, zone_id, before).clear(until)
    return sweep.outcome()


def _cutoffs() -> Mapping[str, datetime]:
    """Before what the sessions of each zone must have ended to go; zones that are held
    are left out."""
    now = timezone.now()
    ended = now - timedelta(days=settings.SESSION_RETENTION_DAYS)
    found = retention.of_every_zone(list(Zone.objects.values_list("id", flat=True)))
    cutoffs = {zone_id: one.cutoff(now) for zone_id, one in found.items()}
    return {
        zone_id: min(ended, decided - SLACK)
        for zone_id, decided in cutoffs.items()
        if decided is not None
    }


class _Zone:
    """One zone's part of a run: every old session is looked at once."""

    def __init__(self, sweep: Sweep, zone_id: str, before: datetime) -> None:
        self._sweep, self._zone_id, self._before = sweep, zone_id, before
        self._at, self._id = datetime.min.replace(tzinfo=UTC), ""
        self._is_over = False

    def clear(self, until: float) -> None:
        challenges = {"limit": BATCH, "before": self._before, "zone_id": self._zone_id}
        self._sweep.drain(
            self._zone_id,
            lambda: statements.execute("tokens/remove_challenges", challenges),
            BATCH,
        )
        while not self._is_over and time.monotonic() < until:
            # A batch that fails ends the zone's part of this run.
            self._is_over = True
            self._sweep.carry_out(self._zone_id, self._remove)

    def _remove(self) -> int:
        rows = statements.fetch_all(
            "tokens/sessions_past",
            {
                "zone_id": self._zone_id,
                "before": self._before,
                "after_at": self._at,
                "after_id": self._id,
                "limit": BATCH,
            },
        )
        if not rows:
            return 0
        removed = statements.execute(
            "tokens/remove_sessions",
            {
                "ids": [session_id for session_id, _, _ in rows],
                "before": self._before,
                "zone_id": self._zone_id,
                "first_agent": first_id_at(rows[0][1] - APART),
                "last_agent": first_id_at(max(ends for _, _, ends in rows) + APART),
            },
        )
        self._id, self._at, _ = rows[-1]
        self._is_over = len(rows) < BATCH
        return removed
