"""``issue_session_token``: what an application may do, as a signed token.

Contract: tokens.md 6, 7, 13, 15, 18. The order of checks is the contract's; nothing is
recorded as allowed before the token it is about exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import transaction
from prometheus_client import Counter

from caracal_site import database, rates, statements
from caracal_site.errors import RateLimited
from caracal_site.ids import new_id
from tokens import keys
from tokens.errors import (
    ClientNotAuthenticated,
    InvalidTokenRequest,
    TooManyExchanges,
)
from tokens.forms import TokenRequest
from tokens.models import SessionType
from tokens.services import binding, challenges, clients, subjects
from tokens.services.judging import WITHOUT_CREDENTIAL, Case, Facts, judged, look_up
from tokens.services.ledger import Ledger, Verdict
from tokens.services.outcomes import Refusal, TokenAnswer
from tokens.services.subjects import Subject
from zones.models import Application, ProviderKind

MAX_TOKEN_LENGTH = 4096

exchanges = Counter(
    "caracal_token_exchanges", "Token requests of known clients.", ["outcome"]
)


def issue_session_token(request: TokenRequest) -> TokenAnswer:
    """Authenticates the client and issues the token its request deserves.

    The session behind the token and the ledger's rows commit together. A refusal is
    recorded, too, before it is raised: ClientNotAuthenticated, ZoneInvalid,
    ExchangeDenied, PolicyEvaluationFailed, ChallengeInvalid, InteractionRequired,
    TooManyChallenges, TooManyExchanges or InvalidTokenRequest.
    """
    clients.check_gateway(request)
    outcome = database.retried(lambda: _answered(request))
    if isinstance(outcome, Refusal):
        exchanges.labels("denied").inc()
        raise outcome.error
    exchanges.labels("issued").inc()
    return outcome


def _answered(request: TokenRequest) -> TokenAnswer | Refusal:
    """Raises database.Changed when what it was decided by changed meanwhile."""
    known, facts = look_up(request)
    application = clients.proven(request, known)
    try:
        subject = f"{application.zone_id}:{application.id}"
        rates.check("token", subject, settings.TOKEN_RATE_LIMIT_PER_MIN)
    except RateLimited as limited:
        exchanges.labels("rate_limited").inc()
        raise TooManyExchanges(headers=limited.headers) from None
    if not request.resources:
        raise InvalidTokenRequest("At least one resource is needed.")
    if facts is None or facts.seconds_left < 1:
        clients.refuse(request, "application_not_in_force", ClientNotAuthenticated())
    if request.challenge_id is None and request.gateway is None:
        return _exchange(request, application, facts)
    with transaction.atomic():
        # What is used up, or passed on, stays as it is until the token is on record.
        _hold(request, application, facts)
        return _exchange(request, application, facts)


def _exchange(
    request: TokenRequest, application: Application, facts: Facts
) -> TokenAnswer | Refusal:
    ledger = Ledger(request, application)
    grounds = _grounds(request, application, facts)
    if isinstance(grounds, Refusal):
        return _refuse(request, application, facts, ledger, grounds)
    ledger.bind(grounds.bound)
    verdicts, refusal = judged(grounds)
    if refusal is None:
        return _issue(grounds, verdicts, ledger)
    with transaction.atomic():
        if refusal is challenges.WANTED:
            _hold(request, application, facts)
            refusal = challenges.ask(grounds.request, application)
        ledger.add_verdicts(verdicts, withheld=refusal)
        return _refuse(request, application, facts, ledger, refusal)


def _hold(request: TokenRequest, application: Application, facts: Facts) -> None:
    """Raises database.Changed."""
    decided_by = _decided_by(request, application, facts)
    if not statements.execute("tokens/hold_exchange", decided_by):
        raise database.Changed


def _refuse(
    request: TokenRequest,
    application: Application,
    facts: Facts,
    ledger: Ledger,
    refusal: Refusal,
) -> Refusal:
    """The refusal, on record. Raises database.Changed."""
    ledger.add_refusal(refusal)
    decided_by = _decided_by(request, application, facts)
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
    subject = None
    if request.gateway is not None:
        found = subjects.presented(request, application)
        if isinstance(found, Refusal):
            return found
        bound_request = found.bound(request)
        if isinstance(bound_request, Refusal):
            return bound_request
        subject, request = found, bound_request
    approval = challenges.presented(request, application)
    if isinstance(approval, Refusal):
        return approval
    if subject is None and request.session_id and facts.session_ends_at is None:
        return Refusal("session_not_usable")
    agent, edge = facts.agent, facts.edge
    if subject is not None and request.agent_session_id is not None:
        agent, edge = binding.look_up(request, application)
    bound = binding.find(request, agent, edge, subject.scopes if subject else ())
    if isinstance(bound, Refusal):
        return bound
    return Case(request, application, facts, bound, approval, subject)


def _decided_by(
    request: TokenRequest, application: Application, facts: Facts
) -> dict[str, Any]:
    """What a statement checks to be still in force, before it lets a decision stand."""
    return {
        "zone_id": application.zone_id,
        "client_id": application.id,
        "proof": clients.proof(request),
        "policy_revision": facts.policy_revision,
    }


def _unsupported(request: TokenRequest) -> Refusal | None:
    """What only a gateway or a provider could make possible."""
    if request.gateway is None and request.subject_token:
        return Refusal("subject_token_needs_gateway")
    if request.gateway is not None and not request.subject_token:
        return Refusal("subject_token_missing", ClientNotAuthenticated())
    if request.actor_token:
        return Refusal("actor_token_not_supported")
    if request.runtime_credential_injection:
        return Refusal("credential_injection_denied")
    return None


def _issue(case: Case, verdicts: Sequence[Verdict], ledger: Ledger) -> TokenAnswer:
    request, application, facts = case.request, case.application, case.facts
    granted = tuple(verdict.resource for verdict in verdicts if verdict.is_granted)
    session_id, jti = new_id(), new_id()
    lifetime = _lifetime(case)
    claims = _claims(case, granted)
    claims |= {"iat": facts.now, "exp": facts.now + lifetime, "jti": jti}
    claims |= {"sid": session_id, "root_sid": _root(case, session_id)}
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
        **_descent(case.subject),
        **_decided_by(request, application, facts),
        "ledger": ledger.as_parameter(),
    }
    if not statements.execute(_statement(case), parameters):
        raise database.Changed
    return TokenAnswer(
        access_token=token,
        expires_in=lifetime,
        scope=claims.get("scope", ""),
        target_resources=granted,
        upstreams=_upstreams(case, granted) if case.subject else None,
    )


def _statement(case: Case) -> str:
    if case.bound is None:
        return "tokens/issue"
    to_edge = case.bound.edge is not None
    return "tokens/issue_for_edge" if to_edge else "tokens/issue_for_agent"


def _lifetime(case: Case) -> int:
    """As long as was asked for, and no longer than anything the token rests on."""
    bounds = [case.request.ttl_seconds, case.facts.seconds_left]
    if case.bound is not None:
        left = case.bound.seconds_left(case.facts.now)
        bounds += [left] if left is not None else []
    if case.subject is not None:
        bounds.append(case.subject.ends_at - case.facts.now)
    return max(min(bounds), 1)


def _root(case: Case, session_id: str) -> str:
    return case.subject.mandate.root_sid if case.subject else session_id


def _descent(subject: Subject | None) -> dict[str, Any]:
    """Whose session the new one is made from, and of what kind it is."""
    if subject is None:
        return {"session_type": SessionType.APPLICATION, "parent_id": None}
    return {"session_type": subject.session_type, "parent_id": subject.mandate.sid}


def _claims(case: Case, granted: tuple[str, ...]) -> dict[str, Any]:
    subject, application = case.subject, case.application
    scopes = case.request.scopes or (subject.scopes if subject else ())
    claims: dict[str, Any] = {
        "iss": settings.ISSUER_URL,
        "sub": subject.mandate.sub if subject else application.id,
        "aud": list(granted) if subject else [settings.ISSUER_URL],
        "zone_id": application.zone_id,
        "client_id": application.id,
        "use": "resource" if subject else "session",
        "sub_type": subject.mandate.sub_type if subject else "application",
        "target": list(granted),
    }
    if scopes:
        claims["scope"] = " ".join(scopes)
    return claims


def _upstreams(case: Case, granted: tuple[str, ...]) -> dict[str, Any]:
    """Where the gateway goes on to, and how (tokens.md 7)."""
    found = {name: case.facts.resources[name] for name in granted}
    return {
        name: {
            "url": resource["upstream_url"],
            "auth_mode": WITHOUT_CREDENTIAL[resource["provider_kind"]],
            "provider_id": resource["provider_id"],
            "forward_caracal_identity": (
                resource["provider_kind"] == ProviderKind.CARACAL_MANDATE
            ),
        }
        for name, resource in found.items()
    }
