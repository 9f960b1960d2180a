"""The decision until a zone has policies: bootstrap by the owner, nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policies.decision import DecisionRequest, Principal, ResourceFacts, decide

BOOTSTRAP = DecisionRequest(
    principal=Principal(id="app", zone_id="zone", registration_method="managed"),
    resource=ResourceFacts(
        id="res", identifier="resource://r", scopes=("agent:lifecycle",), owner_id="app"
    ),
    requested_scopes=("agent:lifecycle",),
    trace_id="req-1",
)


def test_an_owner_may_bootstrap() -> None:
    decision = decide(BOOTSTRAP)
    assert decision.is_allowed
    assert decision.evaluation_status == "complete"
    assert decision.determining_policies == ({"policy": "caracal-bootstrap"},)
    assert decision.diagnostics == ()


def test_a_repeated_scope_counts_once() -> None:
    scopes = ("agent:lifecycle", "agent:lifecycle")
    assert decide(replace(BOOTSTRAP, requested_scopes=scopes)).is_allowed


@pytest.mark.parametrize(
    "changes",
    [
        {"requested_scopes": ()},
        {"requested_scopes": ("agent:lifecycle", "read")},
        {"requested_scopes": ("read",)},
        {"principal": replace(BOOTSTRAP.principal, id="another")},
        {"principal": replace(BOOTSTRAP.principal, agent_session_id="agent")},
        {"resource": replace(BOOTSTRAP.resource, owner_id=None)},
        {"resource": replace(BOOTSTRAP.resource, owner_id="another")},
        {"delegation_edge_id": "edge"},
        {"delegation_edge": {}},
        {"subject_claims": {}},
    ],
    ids=str,
)
def test_everything_else_is_denied(changes: dict[str, Any]) -> None:
    decision = decide(replace(BOOTSTRAP, **changes))
    assert not decision.is_allowed
    assert (decision.decision, decision.evaluation_status) == ("deny", "complete")
    assert decision.determining_policies == ()
    assert decision.diagnostics == ({"reason": "no_rule_matched"},)
