"""``issue_session_token``: what an application may do, as a signed token.

Contract: tokens.md 6, 7, 13, 15, 18. The order of checks is the contract's; nothing is
recorded as allowed before the token it is about exists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import floor
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction
from prometheus_client import Counter

from caracal_site import context, database, rates, statements
from caracal_site.errors import CaracalError, RateLimited
from caracal_site.ids import new_id
from policies import active
from policies.decision import (
    ActiveSet,
    DecisionRequest,
    Principal,
    ResourceFacts,
    decide,
)
from tokens import keys
from tokens.errors import (
    ChallengeInvalid,
    ClientNotAuthenticated,
    ExchangeDenied,
    InvalidTokenRequest,
    PolicyEvaluationFailed,
    TooManyExchanges,
)
from tokens.forms import ACCESS_TOKEN_TYPE, TokenRequest
from tokens.services import clients
from tokens.services.ledger import Ledger, Verdict
from zones.models import Application

MAX_TOKEN_LENGTH = 4096
COORDINATOR_SCOPE = "coordinator."
COORDINATOR_TRAIT = "coordinator:scope:"

exchanges = Counter(
    "caracal_token_exchanges", "Token requests of known clients.", ["outcome"]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """An issued token and what it is good for."""

    access_token: str
    expires_in: int
    scope: str
    target_resources: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The members of the answer; ``scope`` is absent when empty."""
        return {
            "access_token": self.access_token,
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            **({"scope": self.scope} if self.scope else {}),
            "issued_token_type": ACCESS_TOKEN_TYPE,
            "target_resources": list(self.target_resources),
        }


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database knows about a request, as of ``now`` (epoch seconds)."""

    now: int
    application_expires_at: int | None
    key_id: str
    sealed_private_key: bytes
    session_usable: bool
    resources: Mapping[str, Mapping[str, Any]]
    policy_revision: int
    policies: Mapping[str, str] | None

    @property
    def seconds_left(self) -> int:
        """How long the application itself may go on."""
        if self.application_expires_at is None:
            return int(settings.SESSION_TOKEN_MAX_TTL_SECONDS)
        return self.application_expires_at - self.now


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing was issued. The ledger tells ``reason``, the client only ``error``."""

    reason: str
    error: CaracalError = field(default_factory=ExchangeDenied)


def issue_session_token(request: TokenRequest) -> TokenAnswer:
    """Authenticates the client and issues the token its request deserves.

    The session behind the token and the ledger's rows commit together. A refusal is
    recorded, too, before it is raised: ClientNotAuthenticated, ZoneInvalid,
    ExchangeDenied, PolicyEvaluationFailed, ChallengeInvalid, TooManyExchanges or
    InvalidTokenRequest.
    """
    application = clients.authenticate(request)
    try:
        subject = f"{application.zone_id}:{application.id}"
        rates.check("token", subject, settings.TOKEN_RATE_LIMIT_PER_MIN)
    except RateLimited as limited:
        exchanges.labels("rate_limited").inc()
        raise TooManyExchanges(headers=limited.headers) from None
    if not request.resources:
        raise InvalidTokenRequest("At least one resource is needed.")
    outcome = database.retried(lambda: _exchange(request, application))
    if outcome is None:
        clients.refuse(request, "application_not_in_force", ClientNotAuthenticated())
    if isinstance(outcome, Refusal):
        exchanges.labels("denied").inc()
        raise outcome.error
    exchanges.labels("issued").inc()
    return outcome


@transaction.atomic
def _exchange(
    request: TokenRequest, application: Application
) -> TokenAnswer | Refusal | None:
    """None when the application went out of force since it was authenticated.

    Raises database.Changed when policies came in force while it was judged.
    """
    facts = _facts(request, application)
    if facts is None or facts.seconds_left < 1:
        return None
    ledger = Ledger(request, application)
    refusal = _unsupported(request) or _unusable_session(facts)
    if refusal is None:
        verdicts, refusal = _judged(request, application, facts)
        if refusal is None:
            return _issue(request, application, facts, verdicts, ledger)
        ledger.add_verdicts(verdicts)
    ledger.add_refusal(refusal.reason)
    parameters = {"ledger": ledger.as_parameter(), **_decided_by(application, facts)}
    if not statements.execute("tokens/refuse_exchange", parameters):
        raise database.Changed
    return refusal


def _facts(request: TokenRequest, application: Application) -> Facts | None:
    rows = statements.fetch_all(
        "tokens/exchange_facts",
        {
            "application_id": application.id,
            "zone_id": application.zone_id,
            "proof": clients.proof(request),
            "session_id": request.session_id,
            "resources": list(request.resources),
        },
    )
    if not rows:
        return None
    now, expires_at, key_id, sealed, session_usable, resources, revision, policies = (
        rows[0]
    )
    if key_id is None:
        raise LookupError(f"zone {application.zone_id} has no key that signs")
    return Facts(
        floor(now),
        None if expires_at is None else floor(expires_at),
        str(key_id),
        bytes(sealed),
        bool(session_usable),
        orjson.loads(str(resources)),
        int(revision),
        orjson.loads(str(policies)) if policies is not None else None,
    )


def _decided_by(application: Application, facts: Facts) -> dict[str, Any]:
    """What a statement checks to be still in force, before it lets a decision stand."""
    return {
        "zone_id": application.zone_id,
        "policy_revision": facts.policy_revision,
    }


def _unsupported(request: TokenRequest) -> Refusal | None:
    """What only a gateway, an earlier challenge or a provider could make possible."""
    if request.subject_token:
        return Refusal("subject_token_needs_gateway")
    if request.actor_token:
        return Refusal("actor_token_not_supported")
    if request.challenge_id or request.challenge_response:
        return Refusal("challenge_invalid", ChallengeInvalid())
    if request.delegation_edge_id:
        return Refusal("delegation_edge_not_usable")
    if request.runtime_credential_injection:
        return Refusal("credential_injection_denied")
    return None


def _unusable_session(facts: Facts) -> Refusal | None:
    return None if facts.session_usable else Refusal("session_not_usable")


def _judged(
    request: TokenRequest, application: Application, facts: Facts
) -> tuple[list[Verdict], Refusal | None]:
    """What is found about each resource, by the policies in force, and why nothing can
    be issued for any of them, if so."""
    failed = Refusal("policy_eval_failed", PolicyEvaluationFailed())
    try:
        policies = active.ready(**facts.policies) if facts.policies else None
    except active.CannotLoad:
        return [], failed
    verdicts = [
        _judge(request, application, facts, policies, name)
        for name in request.resources
    ]
    if any(verdict.is_incomplete for verdict in verdicts):
        return verdicts, failed
    if not any(verdict.is_granted for verdict in verdicts):
        return verdicts, Refusal("nothing_granted")
    return verdicts, None


def _judge(
    request: TokenRequest,
    application: Application,
    facts: Facts,
    policies: ActiveSet | None,
    identifier: str,
) -> Verdict:
    resource = facts.resources.get(identifier)
    if resource is None:
        return Verdict(identifier, "resource_not_found")
    by_trait = scopes_by_trait(request.scopes, application.traits)
    wanted = tuple(scope for scope in request.scopes if scope not in by_trait)
    if not set(wanted) <= set(resource["scopes"]):
        return Verdict(identifier, "scope_mismatch")
    question = DecisionRequest(
        principal=Principal(
            id=application.id,
            zone_id=application.zone_id,
            registration_method=application.registration_method,
            agent_session_id=request.agent_session_id,
        ),
        resource=ResourceFacts(
            id=resource["id"],
            identifier=identifier,
            scopes=tuple(resource["scopes"]),
            owner_id=resource["owner_id"],
        ),
        requested_scopes=wanted,
        trace_id=context.current().request_id,
        session_id=request.session_id,
        delegation_edge_id=request.delegation_edge_id,
    )
    decision = decide(question, policies)
    return Verdict(identifier, decision.evaluation_status, decision, question)


def scopes_by_trait(scopes: Sequence[str], traits: Sequence[str]) -> frozenset[str]:
    """The scopes of the coordinator that the application's traits give it (D19).

    They are no policy's business, but are only given together with the scope that
    opens the coordinator.
    """
    if settings.AGENT_COORDINATOR_SCOPE not in scopes:
        return frozenset()
    return frozenset(
        scope
        for scope in scopes
        if scope.startswith(COORDINATOR_SCOPE) and COORDINATOR_TRAIT + scope in traits
    )


def _issue(
    request: TokenRequest,
    application: Application,
    facts: Facts,
    verdicts: Sequence[Verdict],
    ledger: Ledger,
) -> TokenAnswer:
    granted = tuple(verdict.resource for verdict in verdicts if verdict.is_granted)
    session_id, jti = new_id(), new_id()
    lifetime = min(request.ttl_seconds, facts.seconds_left)
    claims = _claims(request, application, granted)
    claims |= {"iat": facts.now, "exp": facts.now + lifetime, "jti": jti}
    claims |= {"sid": session_id, "root_sid": session_id}
    key = keys.private_key(application.zone_id, facts.key_id, facts.sealed_private_key)
    token = keys.sign(claims, facts.key_id, key)
    if len(token) > MAX_TOKEN_LENGTH:
        raise InvalidTokenRequest(
            "The token would be too long; ask for fewer resources."
        )
    ledger.add_verdicts(verdicts, jti=jti, sid=session_id)
    parameters = {"scope": "", **claims, **_decided_by(application, facts)}
    parameters["ledger"] = ledger.as_parameter()
    if not statements.execute("tokens/issue", parameters):
        raise database.Changed
    return TokenAnswer(
        access_token=token,
        expires_in=lifetime,
        scope=" ".join(request.scopes),
        target_resources=granted,
    )


def _claims(
    request: TokenRequest, application: Application, granted: tuple[str, ...]
) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "iss": settings.ISSUER_URL,
        "sub": application.id,
        "aud": [settings.ISSUER_URL],
        "zone_id": application.zone_id,
        "client_id": application.id,
        "use": "session",
        "sub_type": "application",
        "target": list(granted),
    }
    if request.scopes:
        claims["scope"] = " ".join(request.scopes)
    return claims
