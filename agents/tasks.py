"""Jobs of agents."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings

from agents import services
from caracal_site.jobs import Outcome, job


@shared_task
@job("expire-agents")
def expire_agents() -> Outcome:
    """Ends agents past their time."""
    return services.expire_due_agents(settings.SWEEPER_BATCH_SIZE)


@shared_task
@job("end-stranded-agents")
def end_stranded_agents() -> Outcome:
    """Ends agents whose zone, application or authority session ended without them."""
    return services.end_stranded_agents(settings.SWEEPER_BATCH_SIZE)
