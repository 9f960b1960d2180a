"""The background jobs of policies."""

from __future__ import annotations

import logging

from celery import shared_task

from caracal_site.jobs import Outcome, job
from policies import services
from policies.grants import services as grants

log = logging.getLogger(__name__)


@shared_task
@job("chase-evaluators")
def chase_evaluators() -> Outcome:
    """Forgets processes that are gone, and counts those behind what is in force: the
    job's backlog, which the metrics show as ``caracal_policy_stragglers``."""
    handled = services.forget_silent()
    behind = services.stragglers()
    if behind:
        log.warning("policy evaluators lag behind", extra={"loads": behind})
    return Outcome(handled=handled, backlog=behind)


@shared_task
@job("expire-grants")
def expire_grants() -> int:
    """Ends grants past their time, and erases tokens that can be used no more."""
    return grants.expire_due_grants() + grants.expire_spent_provider_grants()
