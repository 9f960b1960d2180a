"""The decision: may this application have these scopes on this resource?

``decide`` is the only place that answers, for token requests and for simulations
alike. A ``DecisionRequest`` carries every fact a rule may look at, so deciding reads
nothing else. The contract decides over the documents of the zone's active policy set
(``engine.py``, ``contract.rego``). Deny is the default, and all there is without one.
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
    """The resource asked for, and all scopes it has."""

    id: str
    identifier: str
    scopes: tuple[str, ...]


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
    return decide_input(inputs.document(request), active)


def decide_input(document: Mapping[str, Any], active: ActiveSet | None) -> Decision:
    """``decide`` for a request written as an input document (``inputs.py``)."""
    result = engine.evaluate(
        active.compiled if active else None,
        document,
        lifecycle_scope=settings.AGENT_COORDINATOR_SCOPE,
    )
    version_id = active.version_id if active else None
    if result.evaluation_status != COMPLETE:
        log.error("no decision by policy set version %s: %s", version_id, result)
    return Decision(
        decision=result.decision,
        evaluation_status=result.evaluation_status,
        determining_policies=result.determining_policies,
        diagnostics=result.diagnostics,
        policy_set_id=active.policy_set_id if active else None,
        policy_set_version_id=version_id,
        manifest_sha256=active.manifest_sha256 if active else None,
    )
