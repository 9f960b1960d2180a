"""Jobs of agents."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings

from agents import relay, services
from agents.invocations import services as invocations
from agents.registry import services as registry
from caracal_site.jobs import Outcome, job
from caracal_site.stores import connect


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


@shared_task
@job("suspend-agent-services")
def suspend_agent_services() -> Outcome:
    """Suspends services whose lease ran out."""
    return services.suspend_lapsed_services(settings.SWEEPER_BATCH_SIZE)


@shared_task
@job("end-unseen-services")
def end_unseen_services() -> Outcome:
    """Ends services that were not heard from for long."""
    return services.end_unseen_services(settings.SWEEPER_BATCH_SIZE)


@shared_task
@job("age-services")
def age_services() -> Outcome:
    """Writes down that service records past their lease are unhealthy."""
    return registry.age_services()


@shared_task
@job("time-out-invocations")
def time_out_invocations() -> Outcome:
    """Moves on invocations whose time is over."""
    return invocations.time_out_invocations(settings.SWEEPER_BATCH_SIZE)


@shared_task
@job("prune-invocations")
def prune_invocations() -> Outcome:
    """Deletes calls that ended more than ``INVOCATION_RETENTION_DAYS`` ago."""
    return invocations.prune_invocations(settings.INVOCATION_RETENTION_DAYS)


@shared_task
@job("prune-agents")
def prune_agents() -> Outcome:
    """Deletes agents that ended more than ``AGENT_RETENTION_DAYS`` ago."""
    return services.prune_agents(settings.AGENT_RETENTION_DAYS)


@shared_task
@job("prune-agent-services")
def prune_agent_services() -> Outcome:
    """Deletes services deregistered more than ``AGENT_RETENTION_DAYS`` ago."""
    return registry.prune_services(settings.AGENT_RETENTION_DAYS)


@shared_task
@job("relay-lifecycle")
def relay_lifecycle() -> Outcome:
    """Verifies and counts what the stream of agents tells."""
    return relay.relay(connect(settings.REDIS_URL, relay.GROUP))
