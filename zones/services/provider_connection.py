"""Trying a provider out at its token endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from threading import BoundedSemaphore

from django.db import connection, transaction
from django.db.models.functions import Now

from audit.record import record
from caracal_site import egress, rates
from caracal_site.actors import Actor
from caracal_site.errors import RateLimited
from caracal_site.sealing import SealBroken
from zones import errors, events, token_requests
from zones.models import Provider
from zones.services.holding import hold_zone
from zones.services.provider_secrets import opened
from zones.token_requests import Verdict

TESTS_PER_MINUTE = 10
# A test may last as long as the other side likes, so few of the threads are for them.
AT_ONCE = 3
_room = BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True, slots=True)
class ConnectionTest:
    """What a test of a provider found, and when."""

    status: str
    detail: str
    checked_at: datetime


def check_connection(provider_id: str, *, zone_id: str, actor: Actor) -> ConnectionTest:
    """Asks the provider's token endpoint for a token, with its credentials.

    The network is waited for outside any transaction. Raises ZoneNotFound,
    ProviderTestRateLimited or ProviderNotFound.
    """
    found = _found(provider_id, zone_id, actor)
    if not _room.acquire(blocking=False):
        raise errors.ProviderTestRateLimited(retry_after=int(egress.SECONDS))
    try:
        verdict = _tried(found)
    finally:
        _room.release()
    return _recorded(found, actor, verdict)


@transaction.atomic(durable=True)
def _found(provider_id: str, zone_id: str, actor: Actor) -> Provider:
    hold_zone(zone_id, actor=actor)
    try:
        rates.check("provider_test", zone_id, TESTS_PER_MINUTE)
    except RateLimited as limited:
        raise errors.ProviderTestRateLimited(headers=limited.headers) from None
    found = Provider.objects.in_zone(zone_id).live().filter(id=provider_id).first()
    if found is None:
        raise errors.ProviderNotFound
    return found


def _tried(provider: Provider) -> Verdict:
    try:
        secrets = opened(provider)
    except SealBroken:
        return Verdict(
            token_requests.CONFIG_ERROR,
            "The secrets cannot be opened with the present key; give them again.",
        )
    wanted = token_requests.testing(provider.kind, provider.config_json, secrets)
    if isinstance(wanted, Verdict):
        return wanted
    # Others may use the connection for as long as the other side takes.
    connection.close()
    try:
        reply = egress.post_form(wanted.url, wanted.form, wanted.headers)
    except egress.Unreachable as fault:
        detail = f"The token endpoint could not be reached: {fault.why}."
        return Verdict(token_requests.UNREACHABLE, detail)
    return token_requests.verdict(provider.kind, reply.status, reply.body)


@transaction.atomic(durable=True)
def _recorded(provider: Provider, actor: Actor, verdict: Verdict) -> ConnectionTest:
    tested = events.ProviderTested(
        zone_id=provider.zone_id, entity_id=provider.id, status=verdict.status
    )
    record(actor, tested)
    now = Provider.objects.filter(id=provider.id).values_list(Now()).get()[0]
    return ConnectionTest(verdict.status, verdict.detail, now)
