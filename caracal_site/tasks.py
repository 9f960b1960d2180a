"""The platform's own background jobs."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from django.conf import settings

from caracal_site import statements, timetable
from caracal_site.jobs import Outcome, in_batches, job

HEARTBEAT = "worker-heartbeat"


@shared_task
@job(HEARTBEAT, quiet_seconds=0)
def worker_heartbeat() -> None:
    """Proves that beat, broker, a worker and the database work together, and knows
    from when on the other jobs could have run."""
    statements.execute(
        "caracal_site/expect_jobs",
        {
            "names": list(timetable.periods()),
            "heartbeat": HEARTBEAT,
            "silence": settings.WORKER_HEARTBEAT_MAX_AGE_SECONDS,
        },
    )


@worker_ready.connect
def announce(**_details: Any) -> None:
    """Has the first heartbeat come with the worker, not one interval later."""
    worker_heartbeat.delay()


@shared_task
@job("prune-receipts")
def prune_receipts() -> Outcome:
    """Forgets idempotency receipts older than ``IDEMPOTENCY_RETENTION_HOURS``."""
    return in_batches(
        "caracal_site/prune_receipts", {"hours": settings.IDEMPOTENCY_RETENTION_HOURS}
    )
