"""Jobs of agents."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings

from agents import services
from caracal_site.jobs import job


@shared_task
@job("expire-agents")
def expire_agents() -> int:
    """Ends agents past their time."""
    return services.expire_due_agents(settings.SWEEPER_BATCH_SIZE)
