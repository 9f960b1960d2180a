"""Jobs of delegation."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings

from caracal_site.jobs import Outcome, job
from delegations import services


@shared_task
@job("expire-edges")
def expire_edges() -> int:
    """Marks edges past their expiry."""
    return services.expire_due_edges(settings.SWEEPER_BATCH_SIZE)


@shared_task
@job("prune-edges")
def prune_edges() -> Outcome:
    """Deletes edges that ended more than ``DELEGATION_RETENTION_DAYS`` ago."""
    return services.prune_edges(settings.DELEGATION_RETENTION_DAYS)
