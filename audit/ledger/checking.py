"""Verifications that are kept: what was found in a ledger, and when."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict
from datetime import timedelta

import redis
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from audit.events import LedgerVerified
from audit.ledger import heads, verifying
from audit.models import AuditChain
from audit.record import record
from caracal_site.actors import Actor
from caracal_site.api.permissions import authorise
from caracal_site.jobs import Outcome

RUN_SECONDS = 200.0
EVERY = timedelta(hours=20)
SHOWN = 20

log = logging.getLogger(__name__)


def check(zone_id: str, *, actor: Actor, client: redis.Redis) -> verifying.Verified:
    """Verifies the ledger of a zone for somebody, who is named in the audit trail."""
    authorise(actor, zone_id=zone_id, writes=False)
    try:
        known = heads.every_published(client, zone_id)
    except redis.RedisError:
        # What the database itself can tell is worth telling.
        known = {}
    found = verifying.verify(zone_id, known.get(zone_id, ()))
    with transaction.atomic():
        _keep(found)
        event = LedgerVerified(
            zone_id=zone_id, entity_id=zone_id, rows=found.rows, broken=found.broken
        )
        record(actor, event)
    return found


def check_some(client: redis.Redis, *, seconds: float = RUN_SECONDS) -> Outcome:
    """Verifies the ledgers that were not for the longest time, each once a day."""
    until = time.monotonic() + seconds
    known = heads.every_published(client)
    due = AuditChain.objects.exclude(verified_at__gt=timezone.now() - EVERY)
    rows, broken = 0, []
    for chain in due.order_by(F("verified_at").asc(nulls_first=True), "zone_id"):
        found = verifying.verify(chain.zone_id, known.get(chain.zone_id, ()))
        _keep(found)
        rows += found.rows
        if found.broken:
            log.error("a ledger is broken", extra={"zone_id": chain.zone_id})
            broken.append(f"the ledger of zone {chain.zone_id} is broken")
        if time.monotonic() > until:
            break
    return Outcome(rows, error="; ".join(broken[:3]))


def _keep(found: verifying.Verified) -> None:
    told = asdict(found)
    told["faults"] = told["faults"][:SHOWN]
    AuditChain.objects.filter(zone_id=found.zone_id).update(
        verified_at=timezone.now(), verification_json=told
    )
