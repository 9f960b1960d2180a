"""The decision: may this application have these scopes on this resource?

``decide`` is the only place that answers, for token requests and for simulations
alike. A ``DecisionRequest`` carries every fact a rule may look at, so deciding reads
nothing else. Deny is the default.

With an active policy set the contract decides over the set's documents
(``engine.py``, ``contract.rego``); without one an owner may bootstrap, nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django.conf import settings

from policies import engine, inputs
from policies.documents import Compiled
from policies.engine import COMPLETE

log = logging.getLogger(__name__)

NO_RULE_MATCHED: Mapping[str, Any] = {"reason": "no_rule_matched"}
BOOTSTRAP: Mapping[str, Any] = {"policy": "caracal-bootstrap"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The calling application and, when it acts as one, its agent session."""

    id: str
    zone_id: str
    registration_method: str
    agent_session_id: str | None = None
    lifecycle: str | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceFacts:
    """The resource asked for; ``owner_id`` is the application its gateway binding
    names, if any."""

    id: str
    identifier: str
    scopes: tuple[str, ...]
    owner_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRequest:
    """One question about one resource (contract: tokens.md 11).

    ``delegation_edge`` and ``subject_claims`` are the contract's objects; None means
    that none was presented, which is not the same as an empty one.
    """

    principal: Principal
    resource: ResourceFacts
    requested_scopes: tuple[str, ...]
    trace_id: str
    session_id: str | None = None
    delegation_edge_id: str | None = None
    delegation_edge: Mapping[str, Any] | None = None
    subject_claims: Mapping[str, Any] | None = None
    challenge_resolved: bool = False
    method: str | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer and its reasons; usable only when the evaluation was complete."""

    decision: Literal["allow", "deny"]
    evaluation_status: str = COMPLETE
    determining_policies: tuple[Mapping[str, Any], ...] = ()
    diagnostics: tuple[Mapping[str, Any], ...] = ()
    policy_set_id: str | None = None
    policy_set_version_id: str | None = None
    manifest_sha256: str | None = None

    @property
    def is_allowed(self) -> bool:
        return self.decision == "allow" and self.evaluation_status == COMPLETE


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveSet:
    """The policy-set version that a zone decides by, compiled (``documents.py``)."""

    policy_set_id: str
    version_id: str
    manifest_sha256: str
    compiled: Compiled


def decide(request: DecisionRequest, active: ActiveSet | None = None) -> Decision:
    """The decision by the ``active`` set of the zone, or by none."""
    if active is None:
        return _without_policies(request)
    return decide_input(inputs.document(request), active)


def decide_input(document: Mapping[str, Any], active: ActiveSet) -> Decision:
    """``decide`` for a request written as an input document (``inputs.py``)."""
    result = engine.evaluate(
        active.compiled,
        document,
        lifecycle_scope=settings.AGENT_COORDINATOR_SCOPE,
    )
    if result.evaluation_status != COMPLETE:
        log.error("no decision by policy set version %s: %s", active.version_id, result)
    return Decision(
        decision=result.decision,
        evaluation_status=result.evaluation_status,
        determining_policies=result.determining_policies,
        diagnostics=result.diagnostics,
        policy_set_id=active.policy_set_id,
        policy_set_version_id=active.version_id,
        manifest_sha256=active.manifest_sha256,
    )


def _without_policies(request: DecisionRequest) -> Decision:
    """Allows an application exactly the lifecycle scope on a resource it owns, as
    itself: without agent session, delegation edge or subject."""
    if _owns(request) and _is_bootstrap(request):
        return Decision(decision="allow", determining_policies=(BOOTSTRAP,))
    return Decision(decision="deny", diagnostics=(NO_RULE_MATCHED,))


def _owns(request: DecisionRequest) -> bool:
    return request.resource.owner_id == request.principal.id


def _is_bootstrap(request: DecisionRequest) -> bool:
    return (
        set(request.requested_scopes) == {settings.AGENT_COORDINATOR_SCOPE}
        and request.principal.agent_session_id is None
        and request.delegation_edge_id is None
        and request.delegation_edge is None
        and request.subject_claims is None
    )
