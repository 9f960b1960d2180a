"""``issue_session_token``: what an application may do, as a signed token.

Contract: tokens.md 6, 7, 13, 15, 18. The order of checks is the contract's; nothing is
recorded as allowed before the token it is about exists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction
from prometheus_client import Counter

from caracal_site import context, database, rates, statements
from caracal_site.errors import RateLimited
from caracal_site.ids import new_id
from policies import active
from policies.decision import (
    COMPLETE,
    ActiveSet,
    DecisionRequest,
    ResourceFacts,
    decide,
)
from policies.explaining import why_denied
from tokens import keys
from tokens.errors import (
    ClientNotAuthenticated,
    InvalidTokenRequest,
    PolicyEvaluationFailed,
    TooManyExchanges,
)
from tokens.forms import TokenRequest
from tokens.models import ChallengeType, StepUpChallenge
from tokens.services import binding, challenges, clients
from tokens.services.binding import Binding
from tokens.services.ledger import Ledger, Verdict
from tokens.services.outcomes import Refusal, TokenAnswer
from zones.models import Application

MAX_TOKEN_LENGTH = 4096
COORDINATOR_SCOPE = "coordinator."
COORDINATOR_TRAIT = "coordinator:scope:"

exchanges = Counter(
    "caracal_token_exchanges", "Token requests of known clients.", ["outcome"]
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database knows about a request, as of ``now`` (epoch seconds)."""

    now: int
    application_expires_at: int | None
    key_id: str
    sealed_private_key: bytes
    session_ends_at: int | None
    resources: Mapping[str, Mapping[str, Any]]
    policy_revision: int
    policies: Mapping[str, str] | None

    @property
    def seconds_left(self) -> int:
        """How long the application, and the session it names, may go on."""
        ends = (self.application_expires_at, self.session_ends_at)
        left = [end - self.now for end in ends if end is not None]
        return min(left, default=int(settings.SESSION_TOKEN_MAX_TTL_SECONDS))


@dataclass(frozen=True, slots=True)
class Case:
    """A request being judged, with what is known about it."""

    request: TokenRequest
    application: Application
    facts: Facts
    bound: Binding | None
    approval: StepUpChallenge | None


def issue_session_token(request: TokenRequest) -> TokenAnswer:
    """Authenticates the client and issues the token its request deserves.

    The session behind the token and the ledger's rows commit together. A refusal is
    recorded, too, before it is raised: ClientNotAuthenticated, ZoneInvalid,
    ExchangeDenied, PolicyEvaluationFailed, ChallengeInvalid, InteractionRequired,
    TooManyChallenges, TooManyExchanges or InvalidTokenRequest.
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
    grounds = _grounds(request, application, facts)
    if isinstance(grounds, Refusal):
        return _refuse(grounds, ledger, _decided_by(application, facts))
    ledger.bind(grounds.bound)
    verdicts, refusal = _judged(grounds)
    if refusal is None:
        return _issue(grounds, verdicts, ledger)
    ledger.add_verdicts(verdicts, withheld=refusal)
    return _refuse(refusal, ledger, _decided_by(application, facts))


def _refuse(refusal: Refusal, ledger: Ledger, decided_by: Mapping[str, Any]) -> Refusal:
    """The refusal, on record. Raises database.Changed."""
    ledger.add_refusal(refusal)
    parameters = {"ledger": ledger.as_parameter(), **decided_by}
    if not statements.execute("tokens/refuse_exchange", parameters):
        raise database.Changed
    return refusal


def _grounds(
    request: TokenRequest, application: Application, facts: Facts
) -> Case | Refusal:
    """What the request stands on, when all of that holds."""
    unsupported = _unsupported(request)
    if unsupported is not None:
        return unsupported
    approval = challenges.presented(request, application)
    if isinstance(approval, Refusal):
        return approval
    unusable = _unusable_session(request, facts)
    if unusable is not None:
        return unusable
    bound = binding.find(request, application)
    if isinstance(bound, Refusal):
        return bound
    return Case(request, application, facts, bound, approval)


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
    now, ends_at, key_id, sealed, session_ends_at, resources, revision, policies = rows[
        0
    ]
    if key_id is None:
        raise LookupError(f"zone {application.zone_id} has no key that signs")
    return Facts(
        floor(now),
        None if ends_at is None else floor(ends_at),
        str(key_id),
        bytes(sealed),
        None if session_ends_at is None else floor(session_ends_at),
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
    """What only a gateway or a provider could make possible."""
    if request.subject_token:
        return Refusal("subject_token_needs_gateway")
    if request.actor_token:
        return Refusal("actor_token_not_supported")
    if request.runtime_credential_injection:
        return Refusal("credential_injection_denied")
    return None


def _unusable_session(request: TokenRequest, facts: Facts) -> Refusal | None:
    if request.session_id is None or facts.session_ends_at is not None:
        return None
    return Refusal("session_not_usable")


def _judged(case: Case) -> tuple[list[Verdict], Refusal | None]:
    """What is found about each resource, by the policies in force, and why nothing can
    be issued for any of them, if so."""
    failed = Refusal("policy_eval_failed", PolicyEvaluationFailed())
    try:
        asked = case.facts.policies
        policies = active.ready(**asked) if asked else None
    except active.CannotLoad:
        return [], failed
    verdicts = [_judge(case, policies, name) for name in case.request.resources]
    wanted = {verdict.step_up for verdict in verdicts} - {""}
    is_unknown = bool(wanted - set(ChallengeType.values))
    if is_unknown or any(verdict.is_incomplete for verdict in verdicts):
        return verdicts, failed
    if wanted and case.approval is None:
        return verdicts, challenges.ask(case.request, case.application)
    if not any(verdict.is_granted for verdict in verdicts):
        return verdicts, Refusal("nothing_granted")
    return verdicts, None


def _judge(case: Case, policies: ActiveSet | None, identifier: str) -> Verdict:
    request, edge = case.request, case.bound.edge if case.bound else None
    resource = case.facts.resources.get(identifier)
    if resource is None:
        return Verdict(identifier, "resource_not_found")
    by_trait = scopes_by_trait(request.scopes, case.application.traits)
    wanted = tuple(scope for scope in request.scopes if scope not in by_trait)
    if not set(wanted) <= set(resource["scopes"]):
        return Verdict(identifier, "scope_mismatch")
    if edge is not None and not edge.covers(resource["id"], identifier):
        return Verdict(identifier, "resource_outside_delegation")
    question = DecisionRequest(
        principal=binding.principal(case.application, case.bound),
        resource=ResourceFacts(
            id=resource["id"],
            identifier=identifier,
            scopes=tuple(resource["scopes"]),
        ),
        requested_scopes=wanted,
        trace_id=context.current().request_id,
        session_id=request.session_id,
        delegation_edge_id=request.delegation_edge_id,
        delegation_edge=edge.for_policies if edge else None,
        challenge_resolved=case.approval is not None,
    )
    decision = decide(question, policies)
    is_denial = decision.evaluation_status == COMPLETE and not decision.is_allowed
    why = why_denied(question, policies) if is_denial else ""
    return Verdict(identifier, decision.evaluation_status, decision, question, why)


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


def _issue(case: Case, verdicts: Sequence[Verdict], ledger: Ledger) -> TokenAnswer:
    request, application, facts = case.request, case.application, case.facts
    granted = tuple(verdict.resource for verdict in verdicts if verdict.is_granted)
    session_id, jti = new_id(), new_id()
    lifetime = _lifetime(case)
    claims = _claims(request, application, granted)
    claims |= {"iat": facts.now, "exp": facts.now + lifetime, "jti": jti}
    claims |= {"sid": session_id, "root_sid": session_id}
    claims |= case.bound.claims() if case.bound else {}
    key = keys.private_key(application.zone_id, facts.key_id, facts.sealed_private_key)
    token = keys.sign(claims, facts.key_id, key)
    if len(token) > MAX_TOKEN_LENGTH:
        raise InvalidTokenRequest(
            "The token would be too long; ask for fewer resources."
        )
    told = {"jti": jti, "sid": session_id}
    if case.approval is not None:
        told |= {"challenge_id": case.approval.id}
        challenges.consume(case.approval, request, application, session_id=session_id)
    ledger.add_verdicts(verdicts, token=told)
    parameters = {
        "scope": "",
        "agent_session_id": None,
        "delegation_edge_id": None,
        **claims,
        **_decided_by(application, facts),
        "ledger": ledger.as_parameter(),
    }
    if not statements.execute("tokens/issue", parameters):
        raise database.Changed
    return TokenAnswer(
        access_token=token,
        expires_in=lifetime,
        scope=" ".join(request.scopes),
        target_resources=granted,
    )


def _lifetime(case: Case) -> int:
    """As long as was asked for, and no longer than anything the token rests on."""
    bounds = [case.request.ttl_seconds, case.facts.seconds_left]
    if case.bound is not None:
        left = case.bound.seconds_left(case.facts.now)
        bounds += [left] if left is not None else []
    return max(min(bounds), 1)


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
