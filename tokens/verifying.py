"""Is this token good? The answer of ``/v1/verify``, by cryptography and claims alone.

``recall`` answers from memory, ``verify`` reads the zone's keys first when they are not
at hand. A key set is at most ``KEYS_SECONDS`` old, and what was verified with it is
remembered as long: a withdrawn key is trusted no longer than that. Whether what a token
stands for is still in force is another question, which ``tokens.liveness`` asks the
database.

Contract: coordinator.md 8, 16.
"""

from __future__ import annotations

import binascii
import time
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from django.conf import settings
from msgspec import UNSET, Meta, UnsetType

from caracal_site.ids import is_id
from tokens import bearer, keys
from tokens.caches import Recent
from tokens.errors import TokenInvalid

KEYS_SECONDS = 60.0
REMEMBERED_TOKENS = 8_192
MAX_HOPS = 10

Name = Annotated[str, Meta(min_length=1)]
Whole = Annotated[int, Meta(ge=0)]


class ChainLink(msgspec.Struct, frozen=True):
    """One member of a token's delegation chain."""

    application_id: Name
    agent_session_id: str = ""
    delegation_edge_id: str = ""

    def as_json(self) -> dict[str, str]:
        named = {
            "applicationId": self.application_id,
            "agentSessionId": self.agent_session_id,
            "delegationEdgeId": self.delegation_edge_id,
        }
        return {name: value for name, value in named.items() if value}


class Mandate(msgspec.Struct, frozen=True):
    """What a token of this issuer claims; members without a default must be there."""

    iss: str
    aud: str | list[str]
    exp: Whole
    iat: Whole
    jti: Name
    sub: Name
    client_id: Name
    sid: Name
    root_sid: Name
    zone_id: Name
    use: Literal["session", "resource"]
    sub_type: Literal["user", "application"]
    scope: str = ""
    nbf: int | UnsetType = UNSET
    target: list[Name] | UnsetType = UNSET
    agent_session_id: str = ""
    delegation_edge_id: str = ""
    source_session_id: str = ""
    target_session_id: str = ""
    delegation_path: list[str] | UnsetType = UNSET
    delegation_chain: list[ChainLink] = []
    delegation_graph_epoch: Whole | UnsetType = UNSET
    hop_count: Whole | UnsetType = UNSET

    def as_json(self) -> dict[str, Any]:
        """The claims as the wire has them; what is absent or empty has no member."""
        optional = {
            "targetResources": self.target,
            "agentSessionId": self.agent_session_id or UNSET,
            "delegationEdgeId": self.delegation_edge_id or UNSET,
            "sourceSessionId": self.source_session_id or UNSET,
            "targetSessionId": self.target_session_id or UNSET,
            "delegationPath": self.delegation_path,
            "delegationChain": [link.as_json() for link in self.delegation_chain]
            or UNSET,
            "graphEpoch": self.delegation_graph_epoch,
            "hopCount": self.hop_count,
        }
        return {
            "sub": self.sub,
            "zoneId": self.zone_id,
            "clientId": self.client_id,
            "sid": self.sid,
            "rootSid": self.root_sid,
            "use": self.use,
            "subType": self.sub_type,
            "jti": self.jti,
            "issuedAt": self.iat,
            "expiresAt": self.exp,
            "scope": self.scope,
            **{name: value for name, value in optional.items() if value is not UNSET},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a token must be good for. ``audience`` defaults to the issuer itself, unless
    ``any_audience`` will do."""

    zone_id: str | None = None
    audience: str | None = None
    any_audience: bool = False
    required_scope: str | None = None
    require_agent: bool = False
    require_delegation: bool = False


@dataclass(frozen=True, slots=True)
class Verified:
    """A token whose signature is good: what it claims, and as JSON; which key signed
    it, and the time (monotonic) until which that key is taken for granted."""

    mandate: Mandate
    key_id: str
    claims: bytes
    good_until: float


_verified: Recent[bytes, Verified] = Recent(REMEMBERED_TOKENS)


def recall(token: str, expected: Expected) -> Verified | None:
    """``verify`` for what memory knows enough about, else None: for the event loop.

    Raises TokenInvalid.
    """
    found = _verified.get(bearer.fingerprint(token))
    if found is None or time.monotonic() > found.good_until:
        return None
    _check(found.mandate, expected)
    return found


def verify(token: str, expected: Expected) -> Verified:
    """The verified token. Raises TokenInvalid, whatever is wrong with it, and
    RateLimited when too many unknown zones are named."""
    if len(token) > bearer.MAX_TOKEN_LENGTH:
        raise TokenInvalid
    header, mandate = _read(token)
    _check(mandate, expected)
    try:
        known = bearer.keys_of(mandate.zone_id, header.kid, KEYS_SECONDS)
        keys.verify(token, known.by_kid[header.kid])
    except (bearer.InvalidToken, KeyError, keys.BadSignature):
        raise TokenInvalid from None
    claims = msgspec.json.encode(mandate.as_json())
    good_until = known.read_at + KEYS_SECONDS
    found = Verified(mandate, header.kid, claims, good_until)
    _verified.put(bearer.fingerprint(token), found)
    return found


def forget_everything() -> None:
    """Empties the memory of this process."""
    _verified.clear()


def _read(token: str) -> tuple[bearer.Header, Mandate]:
    """The unverified header and claims. Raises TokenInvalid."""
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenInvalid
    try:
        return (
            msgspec.json.decode(bearer.decoded(parts[0]), type=bearer.Header),
            msgspec.json.decode(bearer.decoded(parts[1]), type=Mandate),
        )
    except (msgspec.MsgspecError, binascii.Error, ValueError, RecursionError):
        raise TokenInvalid from None


def _check(mandate: Mandate, expected: Expected) -> None:
    """Raises TokenInvalid unless the claims hold now and are what is expected."""
    now = time.time()
    audiences = [mandate.aud] if isinstance(mandate.aud, str) else mandate.aud
    begins = max(mandate.iat, mandate.nbf or 0)
    is_for = (expected.audience or settings.ISSUER_URL) in audiences
    holds = (
        is_id(mandate.zone_id)
        and mandate.iss == settings.ISSUER_URL
        and (is_for or expected.any_audience)
        and begins - bearer.LEEWAY_SECONDS <= now < mandate.exp + bearer.LEEWAY_SECONDS
        and expected.zone_id in (None, mandate.zone_id)
        and (mandate.hop_count or 0) <= MAX_HOPS
    )
    if not holds:
        raise TokenInvalid
    wanted = expected.required_scope
    if wanted is not None and wanted not in mandate.scope.split():
        raise TokenInvalid("The token does not hold the required scope.")
    if expected.require_agent and not mandate.agent_session_id:
        raise TokenInvalid("The token is not bound to an agent session.")
    if expected.require_delegation and not mandate.delegation_edge_id:
        raise TokenInvalid("The token is not bound to a delegation edge.")
