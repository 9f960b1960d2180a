"""Using a connected account: its access token for a request, renewed when it is over.

Whoever finds the token over takes a lease on renewing it; everybody else waits for what
comes of it, in whichever process. What comes back replaces the tokens it was asked with
and no newer ones, so neither a reconnection nor a revocation is ever undone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import BooleanField, Case, F, Q, Value, When
from django.db.models.functions import Now

from audit.record import record
from caracal_site import actors, egress
from caracal_site.errors import CaracalError
from caracal_site.sealing import SealBroken
from policies.grants import errors, events, outbound, rules, tokens
from policies.grants.models import ProviderGrant
from policies.grants.rules import TokenAnswer
from policies.grants.services import storing
from policies.grants.tokens import Tokens
from zones.services.provider_secrets import opened

LEASE_SECONDS = 15
WAIT_SECONDS = 0.1
# A token this near its end is renewed rather than sent on its way.
LEEWAY_SECONDS = 10
DEAD = frozenset({"invalid_grant"})


@dataclass(frozen=True, slots=True)
class Credential:
    """What is sent to the upstream for the user."""

    access_token: str = field(repr=False)
    expires_at: datetime | None
    grant_id: str


def provider_credential(
    *,
    zone_id: str,
    user_id: str,
    resource_id: str,
    provider_id: str,
    scopes: Sequence[str] = (),
) -> Credential:
    """The user's access token for scopes of a resource, good for a while yet.

    Raises CredentialNotProvisioned, ProviderGrantScopesInsufficient,
    CredentialRefreshFailed or ProviderBusy.
    """
    named = {"user_id": user_id, "resource_id": resource_id, "provider_id": provider_id}
    given_up_at = time.monotonic() + LEASE_SECONDS
    while True:
        grant = _standing(zone_id, named)
        if rules.exceed(scopes, grant.scopes):
            raise errors.ProviderGrantScopesInsufficient
        if grant.is_usable:  # type: ignore[attr-defined]  # annotated
            return Credential(_opened(grant).access, grant.expires_at, grant.id)
        if not grant.is_renewable:
            raise errors.CredentialRefreshFailed("credential_expired_not_renewable")
        if _take_lease(grant):
            _renew(grant)
        elif time.monotonic() > given_up_at:
            raise errors.CredentialRefreshFailed("refresh_in_progress")
        else:
            time.sleep(WAIT_SECONDS)


def _standing(zone_id: str, named: dict[str, str]) -> ProviderGrant:
    soon = Now() + timedelta(seconds=LEEWAY_SECONDS)
    usable = Q(expires_at=None) | Q(expires_at__gt=soon)
    # What cannot be renewed is used to its end.
    usable |= Q(is_renewable=False, expires_at__gt=Now())
    active = ProviderGrant.objects.in_zone(zone_id).active().of(**named)
    live = active.filter(
        provider__archived_at=None,
        resource__archived_at=None,
        resource__credential_provider_id=F("provider_id"),
    )
    marked = Case(
        When(usable, then=Value(True)),
        default=Value(False),
        output_field=BooleanField(),
    )
    found: ProviderGrant | None = (
        live.select_related("provider").annotate(is_usable=marked).first()
    )
    if found is None:
        raise errors.CredentialNotProvisioned("no_provider_grant")
    return found


def _opened(grant: ProviderGrant) -> Tokens:
    try:
        held = tokens.opened(grant)
    except SealBroken:
        held = None
    if held is None:
        raise errors.CredentialNotProvisioned("the tokens cannot be opened")
    return held


def _take_lease(grant: ProviderGrant) -> bool:
    """Whether this caller is the one to renew these very tokens."""
    free = Q(refreshing_until=None) | Q(refreshing_until__lte=Now())
    same = ProviderGrant.objects.active().filter(free, **_version(grant))
    until = Now() + timedelta(seconds=LEASE_SECONDS)
    return bool(same.update(refreshing_until=until))


def _renew(grant: ProviderGrant) -> None:
    """Asks for new tokens, and keeps them if nobody brought newer ones meanwhile."""
    held = _opened(grant)
    if held.refresh is None:
        raise errors.CredentialRefreshFailed("credential_expired_not_renewable")
    config = grant.provider.config_json
    try:
        with outbound.room():
            secrets = opened(grant.provider)
            outbound.check(config, secrets)
            found = outbound.refresh(config, secrets, refresh_token=held.refresh)
    except outbound.Refused as fault:
        _give_up(grant, is_dead=fault.code in DEAD)
        raise errors.CredentialRefreshFailed(str(fault)) from None
    except egress.Unreachable as fault:
        _give_up(grant)
        raise errors.CredentialRefreshFailed(fault.why) from None
    except (ValueError, SealBroken, CaracalError) as fault:
        _give_up(grant)
        if isinstance(fault, errors.ProviderBusy):
            raise
        raise errors.CredentialRefreshFailed(str(fault)) from None
    _replace(grant, held.refresh, found)


@transaction.atomic
def _replace(grant: ProviderGrant, before: str, found: TokenAnswer) -> None:
    kept = Tokens(found.access_token, found.refresh_token or before)
    seconds = rules.lifetime(
        found.expires_in, renewable=True, most=settings.MAX_GRANT_TTL_SECONDS
    )
    assert seconds is not None  # noqa: S101 - what is renewable has an end
    told = {} if found.scopes is None else {"upstream_scopes": list(found.scopes)}
    same = ProviderGrant.objects.active().filter(**_version(grant))
    replaced = same.update(
        **tokens.sealed_columns(grant.id, grant.zone_id, kept),
        **told,
        expires_at=Now() + timedelta(seconds=seconds),
        refreshed_at=Now(),
        refresh_token_version=F("refresh_token_version") + 1,
        refreshing_until=None,
        updated_at=Now(),
    )
    if replaced:
        renewed = events.ProviderGrantRefreshed(
            zone_id=grant.zone_id,
            entity_id=grant.id,
            user_id=grant.user_id,
            resource_id=grant.resource_id,
            provider_id=grant.provider_id,
        )
        record(actors.system("refresh-provider-grant"), renewed)


@transaction.atomic
def _give_up(grant: ProviderGrant, *, is_dead: bool = False) -> None:
    """Gives the lease back; a grant whose refresh token is dead ends with it."""
    same = ProviderGrant.objects.active().filter(**_version(grant))
    if not same.update(refreshing_until=None) or not is_dead:
        return
    actor = actors.system("refresh-provider-grant")
    storing.expire(actor, grant, "the provider does not accept the refresh token")


def _version(grant: ProviderGrant) -> dict[str, object]:
    return {
        "id": grant.id,
        "refresh_token_version": grant.refresh_token_version,
    }
