"""Who presents this bearer token? The coordinator's answer, by cryptography alone.

``authenticate`` proves that a zone's key signed the token and that its claims hold.
Whether the caller's application, session, agent and key are still in force is not its
business: every statement of the coordinator asks that itself by including
``tokens/sql/caller.sql``, with ``caller_parameters`` and ``refuse_dead_caller``.

Contract: coordinator.md 2.2, tokens.md 13.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import math
import threading
import time
from typing import Any, Literal

import msgspec
from django.conf import settings
from joserfc.jwk import ECKey

from caracal_site import statements
from caracal_site.actors import Actor, ActorKind
from caracal_site.coordinator.errors import (
    IdentityRevoked,
    InvalidToken,
    MissingScope,
    MissingToken,
)
from caracal_site.errors import RateLimited, ZoneNotFound
from caracal_site.ids import is_id
from tokens import keys
from tokens.caches import Recent
from tokens.models import SigningKey

LEEWAY_SECONDS = 60
MAX_TOKEN_LENGTH = 4096
VERIFIED_TOKENS = 8192
KNOWN_ZONES = 4096
# A zone's keys are read again for an unknown ``kid``, but not more often than this.
COOL_DOWN_SECONDS = 1.0
UNKNOWN_ZONE_SECONDS = 30.0
# Past this many unknown zones in one second, made-up tokens cost no more look-ups.
UNKNOWN_ZONES_PER_SECOND = 200

log = logging.getLogger(__name__)


class Header(msgspec.Struct, forbid_unknown_fields=True):
    """The protected header. Members that could change what is verified, and how,
    are refused with all others that no token of this issuer has."""

    alg: Literal["ES256"]
    kid: str
    typ: str | None = None


class Claims(msgspec.Struct):
    """What every token that opens the coordinator must claim."""

    iss: str
    aud: str | list[str]
    iat: int
    exp: int
    jti: str
    sub: str
    zone_id: str
    use: Literal["session"]
    sub_type: Literal["application", "user"]
    nbf: int | None = None
    # Judged after the signature, each with an answer of its own.
    scope: Any = None
    client_id: Any = None
    sid: str | None = None
    root_sid: str | None = None
    agent_session_id: str | None = None
    delegation_edge_id: str | None = None


class ZoneKeys(msgspec.Struct, frozen=True):
    """The published keys of a zone by ``kid``, as read at ``read_at`` (monotonic)."""

    by_kid: dict[str, ECKey]
    read_at: float


class _Budget:
    """How often something may happen in a second."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._second = 0
        self._spent = 0

    def is_spent(self) -> bool:
        with self._lock:
            return self._second == int(time.monotonic()) and self._spent >= self._limit

    def spend(self) -> None:
        second = int(time.monotonic())
        with self._lock:
            if second != self._second:
                self._second, self._spent = second, 0
            self._spent += 1


_verified: Recent[bytes, tuple[Actor, int]] = Recent(VERIFIED_TOKENS)
_zone_keys: Recent[str, ZoneKeys] = Recent(KNOWN_ZONES)
_unknown_zones: Recent[str, float] = Recent(KNOWN_ZONES)
_unknown_budget = _Budget(UNKNOWN_ZONES_PER_SECOND)


def cached(token: str) -> Actor | None:
    """The caller of a token verified before and still in its time, else None.

    Touches nothing but memory: for the event loop.
    """
    key = fingerprint(token)
    found = _verified.get(key)
    if found is None:
        return None
    actor, expires_at = found
    if time.time() >= expires_at + LEEWAY_SECONDS:
        _verified.discard(key)
        return None
    return actor


def authenticate(token: str) -> Actor:
    """The caller ``token`` was issued to; reads the zone's keys when they are not at
    hand. Raises MissingToken, InvalidToken, MissingScope or RateLimited."""
    if not token or len(token) > MAX_TOKEN_LENGTH:
        raise MissingToken
    found = cached(token)
    if found is not None:
        return found
    header, claims = _read(token)
    _check_claims(claims)
    try:
        keys.verify(token, _key(claims.zone_id, header.kid))
    except keys.BadSignature:
        raise _invalid("signature_invalid") from None
    actor = _actor(claims, header.kid)
    _verified.put(fingerprint(token), (actor, claims.exp))
    return actor


def caller_parameters(actor: Actor, zone_id: str | None = None) -> dict[str, object]:
    """The parameters of ``caller.sql``; ``zone_id`` names the zone for actors that
    are not confined to one."""
    is_client = actor.kind is ActorKind.APPLICATION
    return {
        "caller_zone": actor.zone_id or zone_id,
        "caller_client": actor.client_id if is_client else None,
        "caller_session": actor.session_id,
        "caller_key": actor.key_id,
        "caller_agent": actor.agent_session_id,
        "caller_edge": actor.delegation_edge_id,
    }


def refuse_dead_caller(
    actor: Actor, zone_live: bool, identity_live: bool, agent_live: bool
) -> None:
    """Raises IdentityRevoked, or ZoneNotFound for operators, unless all is in force."""
    if actor.kind is ActorKind.APPLICATION:
        if not (zone_live and identity_live and agent_live):
            raise IdentityRevoked
    elif not zone_live:
        raise ZoneNotFound


def check_alive(actor: Actor, zone_id: str | None = None) -> None:
    """One statement that only asks whether ``actor`` is in force."""
    zone, identity, agent = statements.fetch_one(
        "tokens/alive", caller_parameters(actor, zone_id)
    )
    refuse_dead_caller(actor, bool(zone), bool(identity), bool(agent))


def forget_everything() -> None:
    """Empties the memory of this process."""
    for memory in (_verified, _zone_keys, _unknown_zones):
        memory.clear()


def fingerprint(token: str) -> bytes:
    """What a token is remembered by."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _invalid(reason: str) -> InvalidToken:
    log.debug("bearer refused", extra={"reason": reason})
    return InvalidToken()


def _read(token: str) -> tuple[Header, Claims]:
    """The unverified header and claims. Whatever is wrong is InvalidToken."""
    parts = token.split(".")
    if len(parts) != 3:
        raise _invalid("malformed")
    try:
        return (
            msgspec.json.decode(decoded(parts[0]), type=Header),
            msgspec.json.decode(decoded(parts[1]), type=Claims),
        )
    except (msgspec.MsgspecError, binascii.Error, ValueError, RecursionError):
        raise _invalid("malformed") from None


def decoded(part: str) -> bytes:
    """The bytes of one part of a compact token. Raises ValueError."""
    return base64.b64decode(
        part + "=" * (-len(part) % 4), altchars=b"-_", validate=True
    )


def _check_claims(claims: Claims) -> None:
    now = time.time()
    audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    if not is_id(claims.zone_id) or not claims.sub or not claims.jti:
        raise _invalid("claim_invalid")
    if "\0" in claims.sub or "\0" in str(claims.scope):
        raise _invalid("claim_invalid")
    if claims.iss != settings.ISSUER_URL or settings.ISSUER_URL not in audiences:
        raise _invalid("claim_invalid")
    if now >= claims.exp + LEEWAY_SECONDS:
        raise _invalid("token_expired")
    if max(claims.iat, claims.nbf or 0) > now + LEEWAY_SECONDS or claims.iat < 0:
        raise _invalid("claim_invalid")


def _key(zone_id: str, kid: str) -> ECKey:
    """The zone's published key ``kid``; raises InvalidToken when it has none."""
    key = keys_of(zone_id, kid).by_kid.get(kid)
    if key is None:
        raise _invalid("no_matching_key")
    return key


def keys_of(zone_id: str, kid: str, seconds: float = math.inf) -> ZoneKeys:
    """The zone's published keys, read at most ``seconds`` ago, and again when ``kid``
    is not among them. Raises InvalidToken for a zone without keys.

    Made-up zones and key ids cost a bounded number of look-ups, however many tokens
    name them.
    """
    known = _zone_keys.get(zone_id)
    age = 0.0 if known is None else time.monotonic() - known.read_at
    if (
        known is None
        or age > seconds
        or (kid not in known.by_kid and age > COOL_DOWN_SECONDS)
    ):
        known = _read_keys(zone_id)
    return known


def _read_keys(zone_id: str) -> ZoneKeys:
    refused_at = _unknown_zones.get(zone_id)
    if refused_at is not None and time.monotonic() - refused_at < UNKNOWN_ZONE_SECONDS:
        raise _invalid("no_matching_key")
    if _unknown_budget.is_spent():
        raise RateLimited
    rows = (
        SigningKey.objects.in_zone(zone_id).published().values_list("id", "public_jwk")
    )
    found = ZoneKeys(
        {key_id: keys.public_key(jwk) for key_id, jwk in rows}, time.monotonic()
    )
    if not found.by_kid:
        _unknown_zones.put(zone_id, time.monotonic())
        _unknown_budget.spend()
        raise _invalid("no_matching_key")
    _zone_keys.put(zone_id, found)
    return found


def _actor(claims: Claims, kid: str) -> Actor:
    scopes = claims.scope.split() if isinstance(claims.scope, str) else []
    if settings.AGENT_COORDINATOR_SCOPE not in scopes:
        raise MissingScope
    anchors = (
        claims.sid,
        claims.root_sid,
        claims.agent_session_id,
        claims.delegation_edge_id,
    )
    if not isinstance(claims.client_id, str) or not is_id(claims.client_id):
        raise _invalid("claim_invalid")
    if any(anchor and not is_id(anchor) for anchor in anchors):
        raise _invalid("claim_invalid")
    return Actor(
        kind=ActorKind.APPLICATION,
        id=claims.sub,
        name=claims.client_id,
        scope=" ".join(scopes),
        zone_id=claims.zone_id,
        client_id=claims.client_id,
        scopes=frozenset(scopes),
        session_id=claims.sid or None,
        root_session_id=claims.root_sid or None,
        agent_session_id=claims.agent_session_id or None,
        delegation_edge_id=claims.delegation_edge_id or None,
        key_id=kid,
    )
