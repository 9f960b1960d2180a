"""When each background job is due, and from when on its silence means it is stuck.

A job is stuck when none of its runs has come to its end for ``JOB_STUCK_PERIODS`` of
its periods, and two minutes at least: it hangs, dies on the way or is never started.
A run that failed for some rows has come to its end; it is failing, not stuck.
"""

from __future__ import annotations

from celery import current_app
from django.conf import settings

# Short periods say how quickly a job reacts, not how long it may work.
LEAST_SECONDS = 120.0


def periods() -> dict[str, float]:
    """The jobs of the timetable and how many seconds are between two runs."""
    schedule = current_app.conf.beat_schedule
    return {name: float(entry["schedule"]) for name, entry in schedule.items()}


def stuck_after(period: float) -> float:
    """How many seconds a job with this period may be silent; without end when the
    check is switched off."""
    several: int = settings.JOB_STUCK_PERIODS
    return max(LEAST_SECONDS, several * period) if several > 0 else float("inf")
