"""What became of one request: its rows in the ledger, and their explanation."""

from __future__ import annotations

from typing import Any

import pytest

from audit.models import AuditEvent
from audit.tests.test_api import decide, read
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, refusal
from zones.models import Zone


def exchange(zone: Zone, nth: int, decision: str, **metadata: Any) -> AuditEvent:
    """A row about request ``r``."""
    return decide(
        zone,
        nth,
        request_id="r",
        event_type="token_exchange",
        decision=decision,
        metadata_json=metadata,
    )


def explained(api: Api, zone: Zone) -> Any:
    return read(api, zone, "audit/by-request/r/explain")


def test_a_request_is_read_from_its_first_row_to_its_last(api: Api, zone: Zone) -> None:
    later = exchange(zone, 2, "allow", access_token="hide", resource="a")
    first = exchange(zone, 1, "deny", resource="b")
    exchange(Zone.objects.create(name=new_id(), slug=new_id()), 1, "deny")
    decide(zone, 3)
    rows = read(api, zone, "audit/by-request/r")
    assert [row["id"] for row in rows] == [first.id, later.id]
    assert rows[1].keys() == {
        "id",
        "zone_id",
        "event_type",
        "request_id",
        "decision",
        "policy_set_id",
        "policy_set_version_id",
        "manifest_sha",
        "evaluation_status",
        "determining_policies_json",
        "diagnostics_json",
        "metadata_json",
        "occurred_at",
        "ingested_at",
    }
    assert rows[1]["metadata_json"] == {"access_token": "[redacted]", "resource": "a"}
    assert explained(api, zone)["events"] == rows


@pytest.mark.parametrize("rest", ["", "/explain"])
def test_a_request_nobody_made_is_not_found(api: Api, zone: Zone, rest: str) -> None:
    path = f"/v1/zones/{zone.id}/audit/by-request"
    assert refusal(api.get(f"{path}/nope{rest}")) == (404, "request_not_found")
    assert refusal(api.get(f"{path}/a%20b{rest}")) == (400, "invalid_params")
    elsewhere = f"/v1/zones/{new_id()}/audit/by-request/nope{rest}"
    assert refusal(api.get(elsewhere)) == (404, "zone_not_found")
    assert refusal(Api(None).get(f"{path}/nope{rest}")) == (401, "invalid_admin_token")


@pytest.mark.parametrize(
    ("decisions", "final"),
    [
        (["allow", "deny", "allow"], "deny"),
        (["allow", "partial"], "partial"),
        (["allow", "allow"], "allow"),
        ([None], "unknown"),
    ],
)
def test_a_denial_decides_and_else_the_last_word(
    api: Api, zone: Zone, decisions: list[Any], final: str
) -> None:
    for nth, decision in enumerate(decisions):
        exchange(zone, nth, decision)
    found = explained(api, zone)
    assert found["final_decision"] == final
    assert len(found["denied"]) == decisions.count("deny")


def test_a_token_for_what_was_not_denied_makes_the_outcome_partial(
    api: Api, zone: Zone
) -> None:
    exchange(zone, 1, "allow", resource="a", jti="token")
    exchange(zone, 2, "deny", resource="b")
    assert explained(api, zone)["final_decision"] == "partial"


def test_a_denial_has_what_the_policies_were_asked_as_it_was_recorded(
    api: Api, zone: Zone
) -> None:
    asked = {"principal": {"id": "a"}, "context": {"session_id": "s"}}
    denied = exchange(zone, 1, "deny", policy_input=asked, resource="r")
    [found] = explained(api, zone)["denied"]
    assert found["policy_input"] == asked
    assert (found["event_id"], found["determining_policies"]) == (denied.id, [])


def test_what_was_asked_is_put_together_from_what_other_producers_tell(
    api: Api, zone: Zone
) -> None:
    exchange(
        zone,
        1,
        "deny",
        application_id="a",
        application_registration_method="dcr",
        agent_session_id="as",
        agent_lifecycle="task",
        agent_labels=["x"],
        resource="r",
        requested_scopes=["read"],
        session_id="s",
        delegation_edge_id="",
    )
    [found] = explained(api, zone)["denied"]
    assert found["policy_input"] == {
        "schema_version": "2026-05-20",
        "principal": {
            "type": "Application",
            "id": "a",
            "zone_id": zone.id,
            "registration_method": "dcr",
            "agent_session_id": "as",
            "lifecycle": "task",
            "labels": ["x"],
        },
        "resource": {"type": "Resource", "identifier": "r", "scopes": ["read"]},
        "action": {"id": "TokenExchange"},
        "context": {
            "actor_claims": {},
            "requested_scopes": ["read"],
            "challenge_resolved": False,
            "session_id": "s",
            "agent_session_id": "as",
        },
        "session": {"id": "s"},
    }


def test_malformed_metadata_are_explained_as_far_as_they_go(
    api: Api, zone: Zone
) -> None:
    decide(zone, 1, request_id="r", decision="deny", metadata_json=[1])
    exchange(zone, 2, "deny", application_id=7, agent_labels="x", session_id=["s"])
    first, second = explained(api, zone)["denied"]
    assert first["metadata"] == [1] or first["metadata"] == {}
    assert second["policy_input"]["principal"]["id"] == ""
    assert "labels" not in second["policy_input"]["principal"]
    assert "session" not in second["policy_input"]


def test_each_row_is_told_in_a_sentence(api: Api, zone: Zone) -> None:
    exchange(
        zone,
        1,
        "deny",
        application_name="crawler",
        agent_session_id="as",
        resource="resource://a",
        requested_scopes=["read", "write"],
    )
    decide(
        zone,
        2,
        request_id="r",
        event_type="jti_collision",
        decision="deny",
        evaluation_status="anomaly",
        metadata_json=None,
        diagnostics_json=[{"reason": "seen before"}],
    )
    assert explained(api, zone)["explanation"] == [
        "read, write on resource://a by crawler as agent as was denied.",
        "jti_collision was denied (seen before, anomaly).",
    ]
