"""What is known about a token request, and what the policies say about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import Any

import orjson
from django.conf import settings

from caracal_site import context, statements
from policies import active
from policies.decision import (
    COMPLETE,
    ActiveSet,
    DecisionRequest,
    ResourceFacts,
    decide,
)
from policies.explaining import why_denied
from tokens.errors import OperationNotPermitted, PolicyEvaluationFailed
from tokens.forms import TokenRequest
from tokens.models import ChallengeType, StepUpChallenge
from tokens.services import binding, challenges, clients
from tokens.services.binding import Binding
from tokens.services.ledger import Verdict
from tokens.services.outcomes import Refusal
from tokens.services.subjects import Subject
from zones.models import Application, ProviderKind

COORDINATOR_SCOPE = "coordinator."
COORDINATOR_TRAIT = "coordinator:scope:"
# What a resource's upstream needs besides the mandate itself is not handed out here.
WITHOUT_CREDENTIAL = {
    ProviderKind.NONE: "none",
    ProviderKind.CARACAL_MANDATE: "caracal_jwt",
}
NOT_PERMITTED = "operation_not_permitted"


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
    subject: Subject | None


def facts_of(request: TokenRequest, application: Application) -> Facts | None:
    """None when the application is not in force, or its secret no longer good."""
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


def judged(case: Case) -> tuple[list[Verdict], Refusal | None]:
    """What is found about each resource, by the policies in force, and why nothing can
    be issued for any of them, if so."""
    failed = Refusal("policy_eval_failed", PolicyEvaluationFailed())
    try:
        asked = case.facts.policies
        policies = active.ready(**asked) if asked else None
    except active.CannotLoad:
        return [], failed
    verdicts = [_judge(case, policies, name) for name in case.request.resources]
    if any(verdict.status == NOT_PERMITTED for verdict in verdicts):
        return verdicts, Refusal(NOT_PERMITTED, OperationNotPermitted())
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
    if case.subject is not None:
        unfit = _unfit_for_gateway(request, case.subject, resource)
        if unfit:
            return Verdict(identifier, unfit)
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
        subject_claims=case.subject.claims if case.subject else None,
        challenge_resolved=case.approval is not None,
        method=request.method,
        path=request.path,
    )
    decision = decide(question, policies)
    is_denial = decision.evaluation_status == COMPLETE and not decision.is_allowed
    why = why_denied(question, policies) if is_denial else ""
    return Verdict(identifier, decision.evaluation_status, decision, question, why)


def _unfit_for_gateway(
    request: TokenRequest, subject: Subject, resource: Mapping[str, Any]
) -> str:
    """Why a gateway gets no mandate for the resource, whatever the policies say."""
    if resource["is_enforced"]:
        asked = {
            operation["scope"]
            for operation in resource["operations"]
            if operation["path"] == request.path
            and operation["method"] == (request.method or "").upper()
        }
        if not asked & set(subject.scopes):
            return NOT_PERMITTED
    if resource["provider_kind"] not in WITHOUT_CREDENTIAL:
        return "credential_not_provisioned"
    return ""


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
