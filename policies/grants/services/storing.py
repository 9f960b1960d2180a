"""Keeping, and giving up, the tokens of a user's account at a provider."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now
from prometheus_client import Counter

from audit.record import record
from caracal_site import actors, database, egress
from caracal_site.actors import Actor
from caracal_site.errors import CaracalError
from caracal_site.ids import new_id
from caracal_site.sealing import SealBroken
from policies.grants import errors, events, outbound, rules, tokens
from policies.grants.ending import ended_columns
from policies.grants.models import GrantStatus, OAuthState, ProviderGrant
from policies.grants.services.granting import held_resource
from policies.grants.tokens import Tokens
from zones.models import Provider, ProviderKind, Resource
from zones.services import hold_provider, hold_zone
from zones.services.provider_secrets import opened

ACTIVE_KEY = "provider_grants_active_key"
BATCH = 500

log = logging.getLogger(__name__)
upstream_revocations = Counter(
    "caracal_provider_grant_revocations",
    "Tokens that providers were told to revoke.",
    ["outcome"],
)


@dataclass(frozen=True, slots=True)
class Binding:
    """The things a connected account is for."""

    provider: Provider
    resource: Resource


@dataclass(frozen=True, slots=True)
class Account:
    """Tokens with what is known of them. ``seconds`` or ``expires_at`` is how long the
    access token is used; neither is for as long as it works."""

    tokens: Tokens = field(repr=False)
    seconds: int | None = None
    expires_at: datetime | None = None
    upstream_scopes: tuple[str, ...] = ()
    upstream_account: str = ""

    @property
    def columns(self) -> dict[str, Any]:
        until: Any = self.expires_at
        if self.seconds is not None:
            until = Now() + timedelta(seconds=self.seconds)
        return {
            "expires_at": until,
            "upstream_scopes": list(self.upstream_scopes),
            "upstream_account": self.upstream_account,
            "refreshing_until": None,
        }


def bound(
    *,
    zone_id: str,
    actor: Actor,
    resource_id: str,
    provider_id: str,
    scopes: Sequence[str],
) -> Binding:
    """Provider and resource, kept live until the commit, that accounts can be
    connected for.

    Raises ProviderNotFound, ProviderGrantUnsupported, ResourceNotFound,
    ProviderResourceMismatch or GrantScopesExceedResource.
    """
    provider = hold_provider(provider_id, zone_id=zone_id)
    if provider.kind != ProviderKind.OAUTH2_AUTHORIZATION_CODE:
        raise errors.ProviderGrantUnsupported(
            f"a provider of kind {provider.kind} has no accounts of users"
        )
    resource = held_resource(resource_id, zone_id=zone_id, actor=actor)
    if resource.credential_provider_id != provider_id:
        raise errors.ProviderResourceMismatch
    if rules.exceed(scopes, resource.scopes):
        raise errors.GrantScopesExceedResource
    return Binding(provider, resource)


def store_provider_grant(
    *,
    zone_id: str,
    actor: Actor,
    user_id: str,
    resource_id: str,
    provider_id: str,
    scopes: Sequence[str],
    access_token: str,
    refresh_token: str | None = None,
    expires_at: datetime | None = None,
) -> ProviderGrant:
    """Keeps exactly the tokens given, instead of any the user had there.

    Raises ZoneNotFound and what ``bound`` raises.
    """
    account = Account(Tokens(access_token, refresh_token), expires_at=expires_at)
    named = {"user_id": user_id, "resource_id": resource_id, "provider_id": provider_id}
    return database.retried(partial(_store, zone_id, actor, named, scopes, account))


@transaction.atomic
def _store(
    zone_id: str,
    actor: Actor,
    named: Mapping[str, str],
    scopes: Sequence[str],
    account: Account,
) -> ProviderGrant:
    hold_zone(zone_id, actor=actor)
    bound(
        zone_id=zone_id,
        actor=actor,
        resource_id=named["resource_id"],
        provider_id=named["provider_id"],
        scopes=scopes,
    )
    standing = active_grant(zone_id, named)
    return put(actor, zone_id, named, scopes=scopes, account=account, standing=standing)


def active_grant(zone_id: str, named: Mapping[str, str]) -> ProviderGrant | None:
    """The grant in force for a user, resource and provider, locked."""
    active = ProviderGrant.objects.in_zone(zone_id).active()
    found: ProviderGrant | None = (
        active.of(**named).select_for_update(no_key=True).first()
    )
    return found


def put(
    actor: Actor,
    zone_id: str,
    named: Mapping[str, str],
    *,
    scopes: Sequence[str],
    account: Account,
    standing: ProviderGrant | None,
    by_oauth: bool = False,
    new: str | None = None,
) -> ProviderGrant:
    """Writes the account into the grant that stands, or a new one with the id ``new``.

    Raises database.Changed when another one was made at the same moment.
    """
    grant_id = standing.id if standing else new or new_id()
    columns = {
        "scopes": list(scopes),
        **account.columns,
        **tokens.sealed_columns(grant_id, zone_id, account.tokens),
    }
    if standing is None:
        try:
            grant = ProviderGrant.objects.create(
                id=grant_id, zone_id=zone_id, **named, **columns
            )
        except IntegrityError as violation:
            if database.violated(violation) != ACTIVE_KEY:
                raise
            raise database.Changed from violation
    else:
        ProviderGrant.objects.filter(id=grant_id).update(
            **columns,
            refreshed_at=None,
            refresh_token_version=F("refresh_token_version") + 1,
            updated_at=Now(),
        )
        grant = ProviderGrant.objects.get(id=grant_id)
    stored = events.ProviderGrantStored(
        zone_id=zone_id,
        entity_id=grant_id,
        scopes=tuple(scopes),
        replaced=standing is not None,
        by_oauth=by_oauth,
        **named,
    )
    record(actor, stored)
    grant.refresh_from_db()
    return grant


def revoke_provider_grant(
    *,
    zone_id: str,
    actor: Actor,
    user_id: str,
    resource_id: str,
    provider_id: str,
    reason: str,
) -> ProviderGrant:
    """Ends a connected account: its tokens are erased here, and the provider is told
    when it is configured to be. What the provider answers changes nothing.

    Raises ZoneNotFound or ProviderGrantNotFound.
    """
    named = {"user_id": user_id, "resource_id": resource_id, "provider_id": provider_id}
    ended, held = _revoke(zone_id, actor, named, reason)
    if held is not None:
        _tell(ended.provider, held)
    return ended


@transaction.atomic(durable=True)
def _revoke(
    zone_id: str, actor: Actor, named: Mapping[str, str], reason: str
) -> tuple[ProviderGrant, Tokens | None]:
    hold_zone(zone_id, actor=actor)
    grant = active_grant(zone_id, named)
    if grant is None:
        raise errors.ProviderGrantNotFound
    try:
        held = tokens.opened(grant)
    except SealBroken:
        held = None
    ended = ended_columns(ProviderGrant, "provider_grant_revoked")
    ProviderGrant.objects.filter(id=grant.id).update(**ended)
    revoked = events.ProviderGrantRevoked(zone_id=zone_id, entity_id=grant.id, **named)
    record(actor, revoked, reason=reason)
    return ProviderGrant.objects.select_related("provider").get(id=grant.id), held


def _tell(provider: Provider, held: Tokens) -> None:
    """Has the provider revoke the token that would live longest."""
    config = provider.config_json
    if not config.get("revocation_endpoint"):
        return
    token, hint = held.access, "access_token"
    if held.refresh is not None:
        token, hint = held.refresh, "refresh_token"
    try:
        with outbound.room():
            outbound.revoke(config, opened(provider), token=token, hint=hint)
    except (egress.Unreachable, outbound.Refused, CaracalError, SealBroken) as fault:
        log.warning(
            "provider did not revoke a token",
            extra={"provider_id": provider.id, "fault": type(fault).__name__},
        )
        upstream_revocations.labels("failed").inc()
    else:
        upstream_revocations.labels("done").inc()


def expire_spent_provider_grants() -> int:
    """Ends accounts whose tokens are over and cannot be renewed, erases them, and
    forgets authorizations nobody finished; how many grants."""
    OAuthState.objects.over().delete()
    actor, ended = actors.system("expire-grants"), 0
    while True:
        spent = ProviderGrant.objects.spent().order_by("expires_at", "id")
        batch = list(spent.values_list("id", flat=True)[:BATCH])
        found = sum(_expire(actor, grant_id) for grant_id in batch)
        ended += found
        if len(batch) < BATCH or not found:
            return ended


@transaction.atomic
def _expire(actor: Actor, grant_id: str) -> int:
    locked = ProviderGrant.objects.spent().filter(id=grant_id)
    grant = locked.select_for_update(no_key=True).first()
    if grant is None:
        return 0
    expire(actor, grant, "the tokens are over and cannot be renewed")
    return 1


def expire(actor: Actor, grant: ProviderGrant, reason: str) -> None:
    """Ends a grant, which is locked, that is no good any more."""
    ended = ended_columns(ProviderGrant, "tokens_expired", GrantStatus.EXPIRED)
    ProviderGrant.objects.filter(id=grant.id).update(**ended)
    over = events.ProviderGrantExpired(
        zone_id=grant.zone_id,
        entity_id=grant.id,
        user_id=grant.user_id,
        resource_id=grant.resource_id,
        provider_id=grant.provider_id,
    )
    record(actor, over, reason=reason)
