"""Simulations, comparisons and scenarios: what a version would decide, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from audit.models import AdminAuditEvent, AuditEvent
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, made, refusal
from caracal_site.times import to_wire
from policies import services
from policies.models import PolicyScenario, PolicySetVersion
from policies.tests.factories import (
    APP_IDS,
    GRANTS,
    ISSUE,
    LIFECYCLE,
    READ,
    RESOURCE,
    activate,
    base_document,
    bootstrap,
    document,
    make_version,
    mint,
)
from tokens.services.issue import issue_session_token
from tokens.tests.factories import make_client, make_resource, request_of
from zones.models import Zone

BILLING = {"policy": "caracal-billing-mint"}


@pytest.fixture
def version(zone: Zone) -> PolicySetVersion:
    return make_version(zone)


@pytest.fixture
def path(version: PolicySetVersion) -> str:
    zone_id = version.policy_set.zone_id
    return f"/v1/zones/{zone_id}/policy-sets/{version.policy_set_id}"


def here(zone: Zone, asked: dict[str, Any]) -> dict[str, Any]:
    """The input, of this zone."""
    return {**asked, "principal": {**asked["principal"], "zone_id": zone.id}}


def simulated(api: Api, path: str, version: PolicySetVersion, asked: Any) -> Any:
    body = {"version_id": version.id, "input": asked}
    response = api.post(f"{path}/simulate", body)
    assert response.status_code == 200, response.content
    return response.json()


def test_a_simulation_has_the_contract_s_members(
    api: Api, path: str, version: PolicySetVersion, zone: Zone
) -> None:
    found = simulated(api, path, version, here(zone, mint()))
    explanation = found.pop("explanation")
    assert found == {
        "dry_run": True,
        "would_activate": True,
        "policy_set_id": version.policy_set_id,
        "version_id": version.id,
        "schema_version": "2026-05-20",
        "input_schema_version": "2026-05-20",
        "manifest_sha256": version.manifest_sha256,
        "policies": services.members_of(version.id),
        "warnings": [],
        "result": {
            "decision": "allow",
            "determining_policies": [BILLING],
            "evaluation_status": "complete",
            "diagnostics": [],
        },
    }
    assert explanation["evaluation"] == "executed"
    assert explanation["decision"] == "allow"
    assert explanation["policy_set_version_id"] == version.id
    assert explanation["manifest_sha256"] == version.manifest_sha256
    assert "caracal-billing-mint" in explanation["reason"]


def test_a_simulation_without_input_only_checks(
    api: Api, path: str, version: PolicySetVersion
) -> None:
    for body in (
        {"version_id": version.id},
        {"version_id": version.id, "input": None},
    ):
        found = api.post(f"{path}/simulate", body).json()
        assert (found["would_activate"], found["result"]) == (True, None)
        assert found["explanation"]["evaluation"] == "not_executed"


def test_a_denial_says_why(
    api: Api, path: str, version: PolicySetVersion, zone: Zone
) -> None:
    asked = here(zone, mint(labels=["viewer"]))
    found = simulated(api, path, version, asked)
    assert found["result"]["decision"] == "deny"
    assert {"reason": "no_rule_matched"} in found["result"]["diagnostics"]
    assert "denied" in found["explanation"]["reason"]


def test_the_contract_s_warnings_come_in_its_order(
    api: Api, path: str, version: PolicySetVersion
) -> None:
    found = simulated(api, path, version, {"schema_version": "x"})
    assert found["warnings"] == [
        "input_schema_mismatch:x",
        "principal_zone_mismatch",
        "missing_resource",
        "missing_action",
        "missing_context",
    ]
    assert (found["would_activate"], found["result"]) == (False, None)
    assert found["explanation"]["evaluation"] == "not_executed"


def test_an_input_of_the_wrong_types_is_not_evaluated(
    api: Api, path: str, version: PolicySetVersion, zone: Zone
) -> None:
    asked = here(zone, mint(labels=[1]))
    found = simulated(api, path, version, asked)
    assert (found["would_activate"], found["result"]) == (False, None)
    assert found["explanation"]["evaluation"] == "not_executed"
    assert "labels" in found["explanation"]["reason"]


def test_a_large_set_can_be_simulated(api: Api, zone: Zone) -> None:
    """W19: the reference caps the request to its engine at 64 KiB."""
    grants = GRANTS | {
        f"resource://r{number}": {"application": "billing", "roles": {"clerk": [READ]}}
        for number in range(1_500)
    }
    version = make_version(zone, base_document(grants=grants))
    path = f"/v1/zones/{zone.id}/policy-sets/{version.policy_set_id}"
    found = simulated(api, path, version, here(zone, mint()))
    assert found["result"]["decision"] == "allow"


def test_a_simulation_changes_nothing(
    api: Api, path: str, version: PolicySetVersion, zone: Zone
) -> None:
    before = AdminAuditEvent.objects.in_zone(zone.id).count()
    simulated(api, path, version, here(zone, mint()))
    assert AdminAuditEvent.objects.in_zone(zone.id).count() == before


def test_a_reading_token_may_simulate(
    path: str, version: PolicySetVersion, zone: Zone, actor: Any
) -> None:
    """W21."""
    from zones import services as zones

    reader = zones.mint_admin_token(
        "r", actor=actor, scope="zone", zone_id=zone.id, capability="read"
    )
    found = simulated(Api(reader.plain), path, version, here(zone, mint()))
    assert found["result"]["decision"] == "allow"


def test_bad_bodies_are_refused(
    api: Api, path: str, version: PolicySetVersion, zone: Zone
) -> None:
    other = make_version(zone)
    for body in ({}, {"version_id": 1}, {"version_id": version.id, "input": []}):
        assert refusal(api.post(f"{path}/simulate", body)) == (400, "invalid_body")
    for wanted in ("nope", other.id):
        for verb in ("simulate", "test"):
            response = api.post(f"{path}/{verb}", {"version_id": wanted})
            assert refusal(response) == (404, "version_not_found")


# Comparing.


def compared(api: Api, path: str, version: PolicySetVersion, **members: Any) -> Any:
    response = api.post(f"{path}/compare", {"version_id": version.id, **members})
    assert response.status_code == 200, response.content
    return response.json()


def test_every_answer_that_changes_is_named(
    api: Api, path: str, version: PolicySetVersion, zone: Zone
) -> None:
    activate(version)
    roles = {"clerk": [READ], "viewer": [READ, ISSUE]}
    grants = {RESOURCE: {"application": "billing", "roles": roles}}
    candidate = make_version(zone, base_document(grants=grants), of=version.policy_set)
    inputs = [
        {"name": "a clerk issues", "input": mint(ISSUE)},
        {"name": "a clerk reads", "input": mint(READ)},
        {"name": "a viewer issues", "input": mint(ISSUE, labels=["viewer"])},
        {"input": bootstrap()},
        {"name": "nonsense", "input": {"principal": 1}},
    ]
    found = compared(api, path, candidate, inputs=inputs)
    assert {one["name"]: one["change"] for one in found["flips"]} == {
        "a clerk issues": "allow_to_deny",
        "a viewer issues": "deny_to_allow",
    }
    [first, _] = found["flips"]
    assert first["input"] == mint(ISSUE)
    assert (first["before"]["decision"], first["after"]["decision"]) == (
        "allow",
        "deny",
    )
    assert found["skipped"] == [{"name": "nonsense", "reason": "invalid_input"}]
    assert (found["compared"], found["active_version_id"]) == (4, version.id)
    assert (found["allow_to_deny"], found["deny_to_allow"]) == (1, 1)


def test_recorded_decisions_are_asked_again(api: Api, zone: Zone) -> None:
    """W20: the ledger keeps what was decided on, so a decision can be replayed."""
    client = make_client(zone)
    resource = make_resource(zone, client)
    began = datetime.now(UTC) - timedelta(seconds=5)
    view = {"application": "main", "roles": {}}
    kept = make_version(
        zone, document(app_ids={"main": client.id}, grants={resource: view})
    )
    activate(kept)
    issue_session_token(request_of(client, resource))
    old = AuditEvent.objects.create(
        zone_id=zone.id,
        event_type="token_exchange",
        decision="allow",
        evaluation_status="complete",
        metadata_json={"resource": resource},
    )
    path = f"/v1/zones/{zone.id}/policy-sets/{kept.policy_set_id}"
    found = compared(api, path, kept, since=to_wire(began))
    assert (found["compared"], found["active_version_id"]) == (1, kept.id)
    assert found["flips"] == []
    assert found["skipped"] == [{"name": old.id, "reason": "no_stored_input"}]
    lost = make_version(
        zone,
        document(app_ids={"main": "another"}, grants={resource: view}),
        of=kept.policy_set,
    )
    found = compared(api, path, lost, since=to_wire(began))
    [flip] = found["flips"]
    assert flip["change"] == "allow_to_deny"
    assert flip["input"]["principal"]["id"] == client.id
    assert flip["input"]["context"]["requested_scopes"] == [LIFECYCLE]
    later = to_wire(datetime.now(UTC) + timedelta(hours=1))
    assert compared(api, path, lost, since=later)["compared"] == 0


def test_what_a_first_set_would_allow_is_compared_with_nothing_allowed(
    api: Api, path: str, version: PolicySetVersion
) -> None:
    found = compared(api, path, version, inputs=[{"input": bootstrap()}])
    [flip] = found["flips"]
    assert (found["active_version_id"], flip["change"]) == (None, "deny_to_allow")
    assert flip["before"]["diagnostics"] == [{"reason": "no_active_policy_set"}]


def test_what_to_compare_has_to_be_said(
    api: Api, path: str, version: PolicySetVersion
) -> None:
    time = "2026-01-02T00:00:00Z"
    wrong: tuple[dict[str, Any], ...] = (
        {},
        {"inputs": []},
        {"inputs": [{}]},
        {"inputs": [{"input": {}}], "since": time},
        {"inputs": [{"input": 1}]},
        {"since": "yesterday"},
        {"since": 1},
        {"until": time},
        {"since": time, "until": "2026-01-01T00:00:00Z"},
        {"inputs": [{"input": {}}] * 501},
    )
    for members in wrong:
        body = {"version_id": version.id, **members}
        response = api.post(f"{path}/compare", body)
        assert refusal(response) == (400, "invalid_body"), members


# Scenarios.


def scenario(**changes: Any) -> dict[str, Any]:
    return {
        "name": "a clerk issues",
        "input": mint(ISSUE),
        "expected_decision": "allow",
        **changes,
    }


def test_a_scenario_is_kept_read_and_removed(
    api: Api, path: str, version: PolicySetVersion
) -> None:
    given = scenario(expected_policy="caracal-billing-mint")
    body = made(api.post(f"{path}/scenarios", given))
    assert {name: body[name] for name in given} == given
    assert (body["since_version"], body["created_by"]) == (1, "tests")
    assert api.get(f"{path}/scenarios").json() == [body]
    assert api.get(f"{path}/scenarios/{body['id']}").json() == body
    again = api.post(f"{path}/scenarios", given)
    assert refusal(again) == (409, "policy_scenario_name_taken")
    assert api.delete(f"{path}/scenarios/{body['id']}").status_code == 204
    for response in (
        api.get(f"{path}/scenarios/{body['id']}"),
        api.delete(f"{path}/scenarios/{body['id']}"),
    ):
        assert refusal(response) == (404, "policy_scenario_not_found")


@pytest.mark.parametrize(
    "changes",
    [
        {"name": " "},
        {"input": []},
        {"input": {"principal": "x"}},
        {"input": {"schema_version": "x"}},
        {"expected_decision": "maybe"},
        {"expected_policy": ""},
        {"since_version": 0},
        {"since_version": "1"},
        {"x": 1},
    ],
    ids=str,
)
def test_a_bad_scenario_is_refused(
    api: Api, path: str, changes: dict[str, Any]
) -> None:
    response = api.post(f"{path}/scenarios", scenario(**changes))
    assert refusal(response) == (400, "invalid_body")
    [issue] = response.json()["details"]["issues"]
    assert issue["path"][0] == next(iter(changes))


def test_a_version_that_fails_a_scenario_is_not_activated(
    api: Api, path: str, version: PolicySetVersion, zone: Zone
) -> None:
    activate(version)
    made(api.post(f"{path}/scenarios", scenario()))
    worse = make_version(zone, base_document(restrict=["x"]), of=version.policy_set)
    tested = api.post(f"{path}/test", {"version_id": worse.id}).json()
    assert tested["passed"] is False
    [told] = tested["scenarios"]
    assert told["fault"] == "expected allow, got deny"
    response = api.post(f"{path}/activate", {"version_id": worse.id})
    assert refusal(response) == (422, "policy_scenarios_failed")
    [failed] = response.json()["scenarios"]
    assert (failed["name"], failed["passed"]) == ("a clerk issues", False)
    found = api.post(f"{path}/simulate", {"version_id": worse.id}).json()
    assert found["would_activate"] is False
    assert found["warnings"] == ["scenario_failed:a clerk issues"]
    assert api.get(path).json()["active_version_id"] == version.id
    good = api.post(f"{path}/test", {"version_id": version.id}).json()
    assert (good["passed"], len(good["scenarios"])) == (True, 1)


def test_a_scenario_may_ask_for_the_policy_that_decides(
    api: Api, path: str, version: PolicySetVersion
) -> None:
    made(api.post(f"{path}/scenarios", scenario(expected_policy="caracal-x-mint")))
    response = api.post(f"{path}/activate", {"version_id": version.id})
    assert refusal(response) == (422, "policy_scenarios_failed")


def test_going_back_is_not_stopped_by_newer_scenarios(
    api: Api, path: str, version: PolicySetVersion, zone: Zone
) -> None:
    make_version(zone, of=version.policy_set)
    made(api.post(f"{path}/scenarios", scenario(expected_decision="deny")))
    assert PolicyScenario.objects.get(policy_set=version.policy_set).since_version == 2
    activate(version)


def test_what_a_set_names_and_the_zone_has_not_is_told(api: Api, zone: Zone) -> None:
    """W5: allowed, because it may come to be, but hardly ever meant."""
    client = make_client(zone)
    known = make_resource(zone, client, READ)
    roles = {"clerk": [READ, ISSUE]}
    data = document(
        app_ids={"main": client.id, "gone": "app-gone"},
        grants={
            known: {"application": "main", "roles": roles},
            RESOURCE: {"application": "main", "roles": roles},
        },
    )
    for content, notes in (
        (
            data,
            [
                "app_ids.gone is no application of the zone: app-gone.",
                f"{known} has no scope {ISSUE}, which grants gives.",
                f"grants names no resource of the zone: {RESOURCE}.",
            ],
        ),
        (document(restrict=["x"]), ["It denies everything: restrict has an entry."]),
        (document(app_ids={}), ["It denies everything: grants is empty."]),
        (
            document(grants={known: {"application": "x", "roles": {"r": [READ]}}}),
            ["It denies everything: no key of app_ids is the application of a grant."],
        ),
    ):
        version = make_version(zone, content)
        path = f"/v1/zones/{zone.id}/policy-sets/{version.policy_set_id}"
        found = api.post(f"{path}/simulate", {"version_id": version.id}).json()
        assert sorted(found["explanation"]["notes"]) == sorted(notes)


def test_data_for_no_application_denies_everything_it_is_asked(
    api: Api, zone: Zone
) -> None:
    version = make_version(zone, document(app_ids=APP_IDS))
    path = f"/v1/zones/{zone.id}/policy-sets/{version.policy_set_id}"
    for asked in (bootstrap(), mint()):
        found = simulated(api, path, version, here(zone, asked))
        assert found["result"]["decision"] == "deny"


def test_a_set_of_another_zone_has_no_scenarios(
    api: Api, path: str, version: PolicySetVersion
) -> None:
    foreign = path.replace(version.policy_set_id, new_id())
    for response in (
        api.get(f"{foreign}/scenarios"),
        api.post(f"{foreign}/scenarios", scenario()),
    ):
        assert refusal(response) == (404, "policy_set_not_found")
