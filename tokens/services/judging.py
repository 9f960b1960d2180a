"""What is known about a token request, and what the policies say about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import Any

import orjson
from django.conf import settings

from caracal_site import context, statements
from caracal_site.ids import is_id
from policies import active, inputs
from policies.decision import (
    COMPLETE,
    ActiveSet,
    DecisionRequest,
    ResourceFacts,
    decide_input,
)
from policies.explaining import why_denied
from policies.shadowing import opinion
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
# How many columns tell of the client, and the time.
KNOWN = len(clients.COLUMNS) + 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database knows about a request, as of ``now`` (epoch seconds).

    ``agent`` and ``edge`` are what ``lineage.sql`` tells of what the request names.
    """

    now: int
    application_expires_at: int | None
    key_id: str
    sealed_private_key: bytes
    session_ends_at: int | None
    resources: Mapping[str, Mapping[str, Any]]
    policy_revision: int
    policies: Mapping[str, str] | None
    shadow: Mapping[str, str] | None
    agent: str | None = None
    edge: str | None = None

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


def look_up(request: TokenRequest) -> tuple[clients.Known | None, Facts | None]:
    """Who asks, when it is in force, and what is known about the request when it is
    proven as well, by one statement."""
    names_agent = request.agent_session_id is not None
    rows = statements.fetch_all(
        "tokens/exchange_facts_bound" if names_agent else "tokens/exchange_facts",
        {
            "application_id": clients.named(request),
            "zone_id": request.zone_id if is_id(request.zone_id) else "",
            "proof": clients.proof(request),
            "session_id": request.session_id,
            "resources": list(request.resources),
            "agent_session_id": request.agent_session_id,
            "delegation_edge_id": request.delegation_edge_id,
        },
    )
    if not rows:
        return None, None
    known = clients.known(rows[0][:KNOWN])
    facts = rows[0][KNOWN:]
    return known, None if facts[0] is None else _facts(known[0].zone_id, *facts)


def _facts(
    zone_id: str,
    now: float,
    expires_at: float | None,
    key_id: str | None,
    sealed: bytes,
    session_ends_at: float | None,
    resources: str | None,
    revision: int,
    policy_set_id: str | None,
    active: str | None,
    active_manifest: str | None,
    shadow: str | None,
    shadow_manifest: str | None,
    agent: str | None = None,
    edge: str | None = None,
) -> Facts:
    if key_id is None:
        raise LookupError(f"zone {zone_id} has no key that signs")
    found = orjson.loads(resources) if resources else ()
    return Facts(
        floor(now),
        None if expires_at is None else floor(expires_at),
        key_id,
        bytes(sealed),
        None if session_ends_at is None else floor(session_ends_at),
        {resource["identifier"]: resource for resource in found},
        revision,
        _version(policy_set_id, active, active_manifest),
        _version(policy_set_id, shadow, shadow_manifest),
        agent,
        edge,
    )


def _version(
    policy_set_id: str | None, version_id: str | None, manifest_sha256: str | None
) -> Mapping[str, str] | None:
    if policy_set_id is None or version_id is None or manifest_sha256 is None:
        return None
    return {
        "policy_set_id": policy_set_id,
        "version_id": version_id,
        "manifest_sha256": manifest_sha256,
    }


def judged(case: Case) -> tuple[list[Verdict], Refusal | None]:
    """What is found about each resource, by the policies in force, and why nothing can
    be issued for any of them, if so: ``challenges.WANTED`` when a person has to be
    asked first."""
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
        return verdicts, challenges.WANTED
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
    document = inputs.document(question)
    decision = decide_input(document, policies)
    is_denial = decision.evaluation_status == COMPLETE and not decision.is_allowed
    why = why_denied(question, policies) if is_denial else ""
    shadow = opinion(case.facts.shadow, document, decision)
    return Verdict(
        identifier, decision.evaluation_status, decision, document, why, shadow
    )


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
