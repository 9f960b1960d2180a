"""The input document: what is in it, and what is left out of what was written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policies import inputs
from policies.decision import DecisionRequest, Principal, ResourceFacts
from policies.tests.examples import BILLING, INVOICES, ISSUE, edge

QUESTION = DecisionRequest(
    principal=Principal(
        id=BILLING,
        zone_id="zone-a",
        registration_method="managed",
        agent_session_id="as-1",
        lifecycle="task",
        labels=("clerk",),
    ),
    resource=ResourceFacts(
        id="res-1",
        identifier=INVOICES,
        scopes=("agent:lifecycle", "invoices:read", "invoices:issue"),
    ),
    requested_scopes=(ISSUE,),
    trace_id="req-1",
    delegation_edge_id="edge-1",
    delegation_edge=edge(),
)


def test_a_token_request_becomes_the_contracts_own_example() -> None:
    """The complete input of example 3."""
    assert inputs.document(QUESTION) == {
        "schema_version": "2026-05-20",
        "principal": {
            "type": "Application",
            "id": "app-7f3",
            "zone_id": "zone-a",
            "registration_method": "managed",
            "agent_session_id": "as-1",
            "lifecycle": "task",
            "labels": ["clerk"],
        },
        "resource": {
            "type": "Resource",
            "id": "res-1",
            "identifier": "resource://invoices",
            "scopes": ["agent:lifecycle", "invoices:read", "invoices:issue"],
        },
        "action": {"id": "TokenExchange"},
        "delegation_edge": edge(),
        "context": {
            "actor_claims": {"caracal_client_id": "app-7f3"},
            "challenge_resolved": False,
            "requested_scopes": ["invoices:issue"],
            "trace_id": "req-1",
            "agent_session_id": "as-1",
            "delegation_edge_id": "edge-1",
        },
    }


def test_a_gateways_request_has_its_method_and_a_session_has_an_object() -> None:
    asked = replace(
        QUESTION,
        method="post",
        path="/x",
        session_id="s-1",
        subject_claims={"sub": "someone"},
    )
    found = inputs.document(asked)
    assert found["action"] == {"id": "TokenExchange", "method": "POST", "path": "/x"}
    assert found["session"] == {"id": "s-1"}
    assert found["context"]["subject_claims"] == {"sub": "someone"}


def test_what_is_empty_is_absent_and_what_is_always_there_is_there() -> None:
    assert inputs.normalised({}) == {
        "schema_version": "2026-05-20",
        "principal": {"type": "", "id": "", "zone_id": ""},
        "resource": {"type": "", "id": "", "identifier": "", "scopes": None},
        "action": {"id": ""},
        "context": {
            "actor_claims": None,
            "challenge_resolved": False,
            "requested_scopes": None,
        },
    }


@pytest.mark.parametrize(
    ("member", "given", "kept"),
    [
        ("delegation_edge", {}, {"id": ""}),
        ("delegation_edge", {"scopes": [], "edge_version": 0, "x": 1}, {"id": ""}),
        (
            "delegation_edge",
            {"constraints_json": {}},
            {"id": "", "constraints_json": {}},
        ),
        ("session", {}, {"id": ""}),
        ("action", {"id": "a", "method": "", "path": None}, {"id": "a"}),
    ],
)
def test_an_empty_object_stays_an_object(member: str, given: Any, kept: Any) -> None:
    assert inputs.normalised({member: given})[member] == kept


@pytest.mark.parametrize("member", ["delegation_edge", "session"])
def test_null_is_absent(member: str) -> None:
    assert member not in inputs.normalised({member: None})


def test_empty_claims_of_a_subject_are_no_subject() -> None:
    found = inputs.normalised({"context": {"subject_claims": {}, "session_id": ""}})
    assert found["context"].keys() == {
        "actor_claims",
        "challenge_resolved",
        "requested_scopes",
    }


@pytest.mark.parametrize(
    "raw",
    [
        [],
        None,
        {"schema_version": "2020-01-01"},
        {"schema_version": 1},
        {"principal": []},
        {"principal": {"labels": "clerk"}},
        {"principal": {"labels": [1]}},
        {"context": {"challenge_resolved": "no"}},
        {"context": {"requested_scopes": "read"}},
        {"context": {"subject_claims": ["x"]}},
        {"delegation_edge": "edge"},
        {"delegation_edge": {"edge_version": "1"}},
        {"delegation_edge": {"edge_version": 1.5}},
        {"resource": {"identifier": 7}},
    ],
    ids=str,
)
def test_a_wrong_type_is_refused(raw: Any) -> None:
    with pytest.raises(inputs.InvalidInput):
        inputs.normalised(raw)
