"""Connecting an account by OAuth: begun by an operator, finished in one browser.

The state of an authorization is known to whoever has its link, so it proves nothing.
What does is a cookie that the browser which took the link on has: it is derived from
the state with a key of this installation, and given out once (policies W30).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from audit.record import record
from caracal_site import database, sealing
from caracal_site.actors import Actor, ActorKind
from caracal_site.ids import new_id
from caracal_site.sealing import SealBroken
from policies.grants import errors, events, outbound, rules, tokens
from policies.grants.models import OAuthState, ProviderGrant
from policies.grants.rules import TokenAnswer
from policies.grants.services import storing
from policies.grants.services.storing import Account, Binding
from policies.grants.tokens import Tokens
from zones.models import Provider
from zones.services import hold_zone
from zones.services.provider_secrets import opened

STATE_SECONDS = 600
STATE, BROWSER = "provider_oauth_state", "provider_oauth_browser"


@dataclass(frozen=True, slots=True)
class Begun:
    """An authorization that a person has to finish."""

    state: str
    expires_at: datetime
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Pending:
    """What a person is asked to agree to."""

    user_id: str
    zone_name: str
    provider_name: str
    resource_name: str
    scopes: tuple[str, ...]
    url: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider sent a browser back with."""

    state: str
    code: str | None = None
    error: str | None = None
    error_description: str | None = None
    issuer: str | None = None


@dataclass(frozen=True, slots=True)
class Connected:
    """The grant that was made, and what people call what it is about."""

    grant: ProviderGrant
    provider_name: str
    resource_name: str


def browser_proof(state: str) -> str:
    """What the cookie of the browser that may finish the authorization holds."""
    return sealing.digest(BROWSER, state).hex()


@transaction.atomic
def begin_authorization(
    *,
    zone_id: str,
    actor: Actor,
    user_id: str,
    resource_id: str,
    provider_id: str,
    scopes: Sequence[str],
) -> Begun:
    """Makes a state with which the user can connect an account within ten minutes.

    Raises ZoneNotFound, what ``storing.bound`` raises, ProviderNotConfigured or
    ProviderAuthorizationEndpointInvalid.
    """
    hold_zone(zone_id, actor=actor)
    binding = storing.bound(
        zone_id=zone_id,
        actor=actor,
        resource_id=resource_id,
        provider_id=provider_id,
        scopes=scopes,
    )
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    _provider_url(binding.provider, state, verifier)
    state_id = new_id()
    kept = OAuthState.objects.create(
        id=state_id,
        digest=sealing.digest(STATE, state),
        zone_id=zone_id,
        user_id=user_id,
        resource_id=resource_id,
        provider_id=provider_id,
        scopes=list(scopes),
        sealed_verifier=sealing.seal(verifier.encode(), _identity(zone_id, state_id)),
        started_by=_told(actor),
        expires_at=Now() + timedelta(seconds=STATE_SECONDS),
    )
    kept.refresh_from_db(fields=["expires_at"])
    started = events.ProviderAuthorizationStarted(
        zone_id=zone_id,
        entity_id=state_id,
        user_id=user_id,
        resource_id=resource_id,
        provider_id=provider_id,
    )
    record(actor, started)
    redirect_uri = str(binding.provider.config_json["redirect_uri"])
    return Begun(state, kept.expires_at, redirect_uri)


def pending_authorization(state: str, *, zone_id: str, proof: str) -> Pending:
    """What the person with this link is asked; nothing is taken on by asking.

    Raises OAuthStateExpired or OAuthStateMismatch.
    """
    kept = _kept(state, zone_id)
    if kept.claimed_at is not None:
        _check_browser(state, proof)
    return _pending(kept, state)


@transaction.atomic
def claim_authorization(state: str, *, zone_id: str, proof: str) -> Pending:
    """Takes the authorization on for the browser that asks first, which is given the
    cookie; it may ask again. Raises OAuthStateExpired or OAuthStateMismatch."""
    kept = _kept(state, zone_id)
    unclaimed = OAuthState.objects.filter(id=kept.id, claimed_at=None)
    if not unclaimed.update(claimed_at=Now()):
        _check_browser(state, proof)
    return _pending(kept, state)


def finish_authorization(answer: Answer, *, zone_id: str, proof: str) -> Connected:
    """Exchanges the code for tokens and keeps these. Only the browser that took the
    authorization on, with ``proof``, uses the state up; others change nothing.

    Raises OAuthStateExpired, OAuthStateMismatch, OAuthStateInvalid,
    OAuthIssuerMismatch, ProviderOAuthDenied, AuthorizationCodeRequired, ZoneNotFound,
    what ``storing.bound`` raises, ProviderBusy, ProviderNotConfigured,
    ProviderTokenEndpointNotAllowed, ProviderTokenExchangeFailed or
    ProviderTokenResponseInvalid.
    """
    kept = _kept(answer.state, zone_id)
    _check_browser(answer.state, proof)
    with outbound.room():
        _consume(kept)
        actor = _actor(kept)
        code = _code(answer, kept)
        binding = _still_bound(kept, actor)
        config = binding.provider.config_json
        proofs = _secrets(binding.provider)
        outbound.check(config, proofs)
        found = outbound.exchange_code(
            config, proofs, code=code, verifier=_verifier(kept)
        )
    grant = database.retried(partial(_keep, kept, actor, binding.provider, found))
    return Connected(grant, binding.provider.name, binding.resource.name)


def _kept(state: str, zone_id: str) -> OAuthState:
    rows = OAuthState.objects.select_related("provider", "resource", "zone").open()
    kept: OAuthState | None = rows.filter(digest=sealing.digest(STATE, state)).first()
    if kept is None:
        raise errors.OAuthStateExpired
    if kept.zone_id != zone_id:
        raise errors.OAuthStateMismatch("the authorization is of another zone")
    return kept


def _check_browser(state: str, proof: str) -> None:
    if not sealing.same(browser_proof(state), proof):
        raise errors.OAuthStateMismatch("the authorization belongs to another browser")


def _pending(kept: OAuthState, state: str) -> Pending:
    return Pending(
        user_id=kept.user_id,
        zone_name=kept.zone.name,
        provider_name=kept.provider.name,
        resource_name=kept.resource.name,
        scopes=tuple(kept.scopes),
        url=_provider_url(kept.provider, state, _verifier(kept)),
    )


def _consume(kept: OAuthState) -> None:
    """Uses the state up. Raises OAuthStateExpired where somebody else did."""
    if not OAuthState.objects.open().filter(id=kept.id).delete()[0]:
        raise errors.OAuthStateExpired


def _code(answer: Answer, kept: OAuthState) -> str:
    config = kept.provider.config_json
    if answer.issuer is not None and not rules.is_issuer(answer.issuer, config):
        raise errors.OAuthIssuerMismatch
    if answer.error is not None:
        raise errors.ProviderOAuthDenied(answer.error_description or answer.error)
    if answer.code is None:
        raise errors.AuthorizationCodeRequired
    return answer.code


@transaction.atomic
def _still_bound(kept: OAuthState, actor: Actor) -> Binding:
    """The binding as it is now: ten minutes are long."""
    hold_zone(kept.zone_id, actor=actor)
    return storing.bound(
        zone_id=kept.zone_id,
        actor=actor,
        resource_id=kept.resource_id,
        provider_id=kept.provider_id,
        scopes=kept.scopes,
    )


@transaction.atomic
def _keep(
    kept: OAuthState, actor: Actor, provider: Provider, found: TokenAnswer
) -> ProviderGrant:
    _still_bound(kept, actor)
    named = {
        "user_id": kept.user_id,
        "resource_id": kept.resource_id,
        "provider_id": kept.provider_id,
    }
    standing = storing.active_grant(kept.zone_id, named)
    refresh = found.refresh_token or _kept_refresh(standing, kept, provider, found)
    account = Account(
        Tokens(found.access_token, refresh),
        seconds=rules.lifetime(
            found.expires_in,
            renewable=refresh is not None,
            most=settings.MAX_GRANT_TTL_SECONDS,
        ),
        upstream_scopes=_granted(found, provider),
        upstream_account=found.account or "",
    )
    return storing.put(
        actor,
        kept.zone_id,
        named,
        scopes=kept.scopes,
        account=account,
        standing=standing,
        by_oauth=True,
        new=kept.id,
    )


def _kept_refresh(
    standing: ProviderGrant | None,
    kept: OAuthState,
    provider: Provider,
    found: TokenAnswer,
) -> str | None:
    """The refresh token there was, for a provider that gives one the first time only,
    unless the account or what it granted is another (policies W32)."""
    if standing is None or standing.scopes != kept.scopes:
        return None
    accounts = {standing.upstream_account, found.account or ""} - {""}
    if len(accounts) > 1 or set(standing.upstream_scopes) != set(
        _granted(found, provider)
    ):
        return None
    try:
        held = tokens.opened(standing)
    except SealBroken:
        return None
    return held.refresh if held else None


def _granted(found: TokenAnswer, provider: Provider) -> tuple[str, ...]:
    """What the provider granted: all that was asked for, unless it said otherwise."""
    if found.scopes is not None:
        return found.scopes
    return tuple(provider.config_json.get("scopes") or ())


def _provider_url(provider: Provider, state: str, verifier: str) -> str:
    config: Mapping[str, Any] = provider.config_json
    for name in ("authorization_endpoint", "redirect_uri", "client_id"):
        if not config.get(name):
            raise errors.ProviderNotConfigured(f"the provider has no {name}")
    try:
        return rules.authorization_url(config, state, verifier)
    except ValueError as fault:
        raise errors.ProviderAuthorizationEndpointInvalid(str(fault)) from None


def _secrets(provider: Provider) -> dict[str, str]:
    try:
        return opened(provider)
    except SealBroken:
        raise errors.ProviderNotConfigured(
            "the provider's secrets cannot be opened with the present key"
        ) from None


def _verifier(kept: OAuthState) -> str:
    identity = _identity(kept.zone_id, kept.id)
    try:
        verifier = sealing.unseal(bytes(kept.sealed_verifier), identity).decode()
    except SealBroken:
        raise errors.OAuthStateInvalid from None
    if not rules.VERIFIER.match(verifier):
        raise errors.OAuthStateInvalid
    return verifier


def _told(actor: Actor) -> dict[str, Any]:
    return {
        "kind": actor.kind.value,
        "id": actor.id,
        "name": actor.name,
        "scope": actor.scope,
        "created_by": actor.created_by,
        "is_global": actor.is_global,
        "account_id": actor.account_id,
    }


def _actor(kept: OAuthState) -> Actor:
    """Who began, and so answers for what the person finished."""
    told = dict(kept.started_by)
    zone_id = None if told.pop("is_global") else kept.zone_id
    return Actor(**{**told, "kind": ActorKind(told["kind"]), "zone_id": zone_id})


def _identity(zone_id: str, state_id: str) -> str:
    return f"provider_oauth_state|{zone_id}|{state_id}"
