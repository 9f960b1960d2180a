"""Jobs of evidence."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from audit import publisher, seals, trimming
from audit.ledger import checking, ingesting, retiring, sealing
from caracal_site.ids import first_id_at
from caracal_site.jobs import Outcome, in_batches, job
from caracal_site.stores import redis_client


@shared_task
@job("publish-outbox")
def publish_outbox() -> Outcome:
    """Publishes the news that is due."""
    return publisher.publish_while_busy(redis_client())


@shared_task
@job("trim-streams")
def trim_streams() -> Outcome:
    """Drops news that every consumer group has read."""
    return trimming.trim(redis_client())


@shared_task
@job("seal-audit")
def seal_audit() -> Outcome:
    """Gives new audit rows their place in the chain of their zone."""
    return seals.seal(redis_client())


@shared_task
@job("seal-ledger")
def seal_ledger() -> Outcome:
    """Gives new decisions their place in the ledger of their zone."""
    return sealing.seal(redis_client())


@shared_task
@job("ingest-decisions")
def ingest_decisions() -> Outcome:
    """Takes what other producers decided into the ledger."""
    return ingesting.ingest(redis_client())


@shared_task
@job("make-ledger-partitions")
def make_ledger_partitions() -> int:
    """Makes the months of the ledger ahead of time."""
    return retiring.make_partitions()


@shared_task
@job("retire-decisions")
def retire_decisions() -> Outcome:
    """Removes decisions past their retention."""
    return retiring.retire()


@shared_task
@job("verify-ledgers")
def verify_ledgers() -> Outcome:
    """Verifies the ledgers that were not for the longest time."""
    return checking.check_some(redis_client())


@shared_task
@job("prune-outbox")
def prune_outbox() -> Outcome:
    """Deletes news published more than ``OUTBOX_RETENTION_DAYS`` ago."""
    days = settings.OUTBOX_RETENTION_DAYS
    younger = timezone.now() - timedelta(days=days - 1)
    return in_batches(
        "audit/prune_outbox", {"days": days, "before": first_id_at(younger)}
    )
