"""Policy sets, their versions and their activation over HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from audit.models import OutboxEvent
from caracal_site.actors import Actor
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, made, refusal
from caracal_site.testing.evidence import Events
from policies import rules, services
from policies.models import PolicyActivation, PolicySet
from policies.services import Load, report
from policies.tests.factories import (
    activate,
    base_document,
    document,
    make_policy,
    make_set,
    make_version,
)
from policies.watching import Watcher
from zones import services as zones
from zones.models import Zone

TOPIC = "caracal.policy.invalidate"


@pytest.fixture
def path(zone: Zone) -> str:
    return f"/v1/zones/{zone.id}/policy-sets"


def manifest(*ids: str, **members: Any) -> dict[str, Any]:
    return {"manifest": [{"policy_version_id": one} for one in ids], **members}


def code(response: Any) -> str:
    """Status, code and detail of a refusal in one text."""
    status, error = refusal(response)
    return f"{status} {error} {response.json().get('detail', '')}".strip()


@pytest.mark.parametrize(
    ("ids", "digest"),
    [
        (
            ["pv-1"],
            "91b75ab3559277a91e4c37e18e60a405963aa4893f36d8e237f7907a79763f97",
        ),
        (
            ["pv-1", "pv-2"],
            "e7388625e7afa28ca7927662b2decb5077ef39c5ff1ab43f1847845232968087",
        ),
        (
            ["pv-2", "pv-1"],
            "b17b3838a369684eb65e45af0c165cc8ca7c9fd8f7310cc8c96754878900dc3c",
        ),
    ],
)
def test_the_digest_of_a_manifest_is_the_contract_s(
    ids: list[str], digest: str
) -> None:
    assert rules.manifest_digest(ids) == digest


def test_a_set_is_made_read_and_listed(
    api: Api, path: str, zone: Zone, events: Events
) -> None:
    body = made(api.post(path, {"name": "s", "description": "d"}))
    assert body == {
        "id": body["id"],
        "zone_id": zone.id,
        "name": "s",
        "description": "d",
        "created_by": "tests",
        "co_authored_by_operator": False,
        "created_at": body["created_at"],
    }
    whole = {**body, "active_version_id": None}
    assert api.get(f"{path}/{body['id']}").json() == whole
    assert api.get(path).json() == [whole]
    [row] = events.take().audit
    assert (row.entity_type, row.entity_id) == ("policy-sets", body["id"])


def test_a_name_is_taken_until_its_set_is_archived(api: Api, path: str) -> None:
    made_set = made(api.post(path, {"name": "s"}))
    assert refusal(api.post(path, {"name": " s"})) == (409, "policy_set_name_taken")
    assert api.delete(f"{path}/{made_set['id']}").status_code == 204
    again = api.delete(f"{path}/{made_set['id']}")
    assert refusal(again) == (404, "policy_set_not_found")
    made(api.post(path, {"name": "s"}))


def test_a_version_has_its_manifest_in_order(api: Api, path: str, zone: Zone) -> None:
    first = make_policy(zone, document(restrict=[])).version
    second = make_policy(zone, base_document()).version
    policy_set = make_set(zone)
    versions = f"{path}/{policy_set.id}/versions"
    body = made(api.post(versions, manifest(second.id, first.id)))
    assert body["version_id"] == body["id"]
    assert (body["policy_set_id"], body["version"]) == (policy_set.id, 1)
    assert body["manifest_sha256"] == rules.manifest_digest([second.id, first.id])
    found = api.get(f"{versions}/{body['id']}").json()
    assert found["policies"] == [second.id, first.id]
    assert found["manifest_json"] == manifest(second.id, first.id)["manifest"]
    assert made(api.post(versions, manifest(first.id)))["version"] == 2
    listed = api.get(versions).json()
    assert [one["version"] for one in listed] == [2, 1]
    assert {one["created_by"] for one in listed} == {"tests"}


def test_a_manifest_that_is_none_is_refused(
    api: Api, path: str, zone: Zone, actor: Actor
) -> None:
    known = make_policy(zone).version.id
    other = make_policy(zone, schema_version="2026-03-16").version.id
    foreign = make_policy(zones.create_zone(new_id(), actor=actor)).version.id
    versions = f"{path}/{make_set(zone).id}/versions"
    for body, told in (
        (manifest(known, known), "422 invalid_policy_contract duplicate"),
        (manifest(known, "nope"), "missing policy versions"),
        (manifest(foreign), "different zone"),
        (manifest(other), "does not match policy set schema"),
        (manifest(known, schema_version="x"), "422 invalid_schema_version"),
    ):
        answer = code(api.post(versions, body))
        assert all(word in answer for word in told.split()), answer
    assert made(api.post(versions, manifest(other, schema_version="2026-03-16")))
    for body in (
        {},
        {"manifest": []},
        {"manifest": "x"},
        {"manifest": ["x"]},
        {"manifest": [{}]},
        {"manifest": [{"policy_version_id": known, "x": 1}]},
        manifest(*(f"x{number}" for number in range(257))),
    ):
        assert refusal(api.post(versions, body)) == (400, "invalid_body")
    unknown = api.post(f"{path}/nope/versions", manifest(known))
    assert refusal(unknown) == (404, "policy_set_not_found")


def test_documents_that_contradict_each_other_are_no_set(
    api: Api, path: str, zone: Zone
) -> None:
    """W4: two different ``grants`` would have stopped the zone at run time."""
    ids = [
        make_policy(zone, document(grants=grants)).version.id
        for grants in (
            {"resource://a": {"application": "x", "roles": {"r": ["read"]}}},
            {"resource://a": {"application": "y", "roles": {"r": ["read"]}}},
        )
    ]
    response = api.post(f"{path}/{make_set(zone).id}/versions", manifest(*ids))
    assert refusal(response) == (422, "invalid_policy_contract")
    assert response.json()["details"]["issues"]


def test_activating_answers_and_announces(
    api: Api, path: str, zone: Zone, events: Events
) -> None:
    version = make_version(zone)
    events.take()
    here = f"{path}/{version.policy_set_id}"
    response = api.post(f"{here}/activate", {"version_id": version.id})
    assert response.status_code == 202
    body = response.json()
    url = urlsplit(body.pop("status_url"))
    assert (url.scheme, url.netloc, url.path) == ("", "", f"{here}/activation-status")
    asked = {"version_id": [version.id], "outbox_id": [body["outbox_id"]]}
    assert parse_qs(url.query) == asked
    assert body == {
        "activated": True,
        "version_id": version.id,
        "shadow_version_id": None,
        "outbox_id": body["outbox_id"],
    }
    left = events.take()
    [news] = left.outbox
    assert (news.id, news.topic, news.producer) == (body["outbox_id"], TOPIC, "api")
    assert news.payload_json == {
        "zone_id": zone.id,
        "policy_set_id": version.policy_set_id,
        "policy_set_version_id": version.id,
        "shadow_version_id": None,
    }
    [row] = left.audit
    assert row.payload_json["event"] == "policy_set.activated"
    assert (row.entity_id, row.status_code) == (version.policy_set_id, 202)
    assert api.get(here).json()["active_version_id"] == version.id


def test_a_zone_has_one_set_in_force(api: Api, path: str, zone: Zone) -> None:
    """W9: activating one replaces another, and says what it replaced."""
    first, second = make_version(zone), make_version(zone)
    activate(first)
    done = activate(second)
    assert done.replaced_version_id == first.id
    active = {one["id"]: one["active_version_id"] for one in api.get(path).json()}
    assert active == {first.policy_set_id: None, second.policy_set_id: second.id}
    assert PolicyActivation.objects.filter(zone=zone).count() == 1


def test_activating_again_is_a_new_revision(zone: Zone, events: Events) -> None:
    version = make_version(zone)
    events.take()
    assert [activate(version).revision for _ in range(2)] == [1, 2]
    assert len(events.take().payloads(TOPIC)) == 2


def test_a_shadow_is_kept_until_the_next_activation(
    api: Api, path: str, zone: Zone
) -> None:
    version = make_version(zone)
    shadow = make_version(zone, of=version.policy_set)
    here = f"{path}/{version.policy_set_id}"
    body = {"version_id": version.id, "shadow_version_id": shadow.id}
    assert api.post(f"{here}/activate", body).json()["shadow_version_id"] == shadow.id
    status = api.get(f"{here}/activation-status").json()
    assert status["shadow_version_id"] == shadow.id
    api.post(f"{here}/activate", {"version_id": version.id})
    status = api.get(f"{here}/activation-status").json()
    assert status["shadow_version_id"] is None


def test_what_cannot_be_activated_is_refused(
    api: Api, path: str, zone: Zone, actor: Actor
) -> None:
    version, other = make_version(zone), make_version(zone)
    foreign = make_version(zones.create_zone(new_id(), actor=actor))
    here = f"{path}/{version.policy_set_id}/activate"
    for wanted in ("nope", other.id, foreign.id):
        response = api.post(here, {"version_id": wanted})
        assert refusal(response) == (404, "version_not_found")
        body = {"version_id": version.id, "shadow_version_id": wanted}
        assert refusal(api.post(here, body)) == (404, "shadow_version_not_found")
    elsewhere = f"{path}/{foreign.policy_set_id}/activate"
    response = api.post(elsewhere, {"version_id": foreign.id})
    assert refusal(response) == (404, "version_not_found")
    for body in (
        {},
        {"version_id": ""},
        {"version_id": 1},
        {"version_id": version.id, "shadow_version_id": ""},
        {"version_id": version.id, "x": 1},
    ):
        assert refusal(api.post(here, body)) == (400, "invalid_body")
    assert not PolicyActivation.objects.filter(zone=zone).exists()


def test_who_expects_another_version_in_force_is_refused(
    api: Api, path: str, zone: Zone
) -> None:
    """W17: two operators do not overwrite each other in silence."""
    first = make_version(zone)
    second = make_version(zone, of=first.policy_set)
    here = f"{path}/{first.policy_set_id}/activate"

    def attempt(version_id: str, expected: str | None) -> Any:
        body = {"version_id": version_id, "expected_active_version_id": expected}
        return api.post(here, body)

    assert attempt(first.id, None).status_code == 202
    stale = attempt(second.id, None)
    assert refusal(stale) == (409, "active_version_changed")
    assert stale.json()["active_version_id"] == first.id
    assert attempt(second.id, first.id).status_code == 202
    assert refusal(attempt(first.id, first.id))[0] == 409


def test_a_set_in_force_is_not_archived(
    api: Api, path: str, zone: Zone, events: Events
) -> None:
    """W10: what is deleted does not go on deciding."""
    version = make_version(zone)
    activate(version)
    here = f"{path}/{version.policy_set_id}"
    assert refusal(api.delete(here)) == (409, "policy_set_active")
    events.take()
    response = api.post(f"{here}/deactivate")
    assert (response.status_code, response.json()["version_id"]) == (202, version.id)
    left = events.take()
    assert left.payloads(TOPIC) == [
        {
            "zone_id": zone.id,
            "policy_set_id": version.policy_set_id,
            "policy_set_version_id": None,
            "shadow_version_id": None,
        }
    ]
    again = api.post(f"{here}/deactivate")
    assert refusal(again) == (409, "policy_set_not_active")
    assert api.get(here).json()["active_version_id"] is None
    assert api.delete(here).status_code == 204
    response = api.post(f"{here}/activate", {"version_id": version.id})
    assert refusal(response) == (404, "version_not_found")
    assert api.get(f"{here}/versions/{version.id}").status_code == 200
    assert refusal(api.get(f"{here}/versions")) == (404, "policy_set_not_found")


def test_revisions_are_never_given_twice(zone: Zone) -> None:
    version = make_version(zone)
    revisions = [activate(version).revision]
    done = services.deactivate_policy_set(
        version.policy_set_id, zone_id=zone.id, actor=_system(), reason="trial"
    )
    revisions += [done.revision, activate(version).revision]
    assert revisions == [1, 2, 3]


def _system() -> Actor:
    from caracal_site.actors import system

    return system("tests")


# Where an activation has arrived.


def status_of(api: Api, path: str, policy_set: PolicySet, query: str = "") -> Any:
    response = api.get(f"{path}/{policy_set.id}/activation-status{query}")
    assert response.status_code == 200, response.content
    return response.json()


def test_nothing_arrives_before_it_is_activated(
    api: Api, path: str, zone: Zone
) -> None:
    version = make_version(zone)
    here = f"{path}/{version.policy_set_id}/activation-status"
    assert code(api.get(here)) == "404 active_policy_set_version_not_found"
    found = status_of(api, path, version.policy_set, f"?version_id={version.id}")
    assert (found["active"], found["propagation_status"]) == (
        False,
        "waiting_for_activation",
    )
    assert found["outbox"] == {
        "id": None,
        "state": "missing",
        "attempts": 0,
        "last_error": None,
        "dispatched_at": None,
    }
    assert code(api.get(f"{path}/nope/activation-status")) == (
        "404 policy_set_binding_not_found"
    )
    assert code(api.get(f"{here}?version_id=nope")) == (
        "404 policy_set_version_not_found"
    )
    for query in ("version_id=", "x=1", "version_id=a&version_id=b", "outbox_id=%00"):
        assert refusal(api.get(f"{here}?{query}")) == (400, "invalid_body")


def test_an_activation_has_arrived_when_every_evaluator_says_so(
    api: Api, path: str, zone: Zone
) -> None:
    """W12: one process that has loaded it does not speak for the others."""
    version = make_version(zone)
    done = activate(version)
    found = status_of(api, path, version.policy_set)
    assert found["propagation_status"] == "waiting_for_outbox"
    assert found["sts"]["state"] == "unreachable"
    first, second = Watcher(new_id()), new_id()
    first.turn()
    found = status_of(api, path, version.policy_set)
    assert found["propagation_status"] == "loaded"
    assert found["sts"]["policy_set_version_id"] == version.id
    assert found["sts"]["manifest_sha256"] == version.manifest_sha256
    assert found["sts"]["loaded"] is True
    assert [one["id"] for one in found["sts"]["evaluators"]] == [first.id]
    behind = Load(zone_id=zone.id, revision=done.revision - 1, version_id=None)
    report(second, [behind])
    found = status_of(api, path, version.policy_set)
    assert found["propagation_status"] == "waiting_for_outbox"
    states = {one["id"]: one["state"] for one in found["sts"]["evaluators"]}
    assert states == {first.id: "loaded", second: "not_loaded"}


def test_the_same_manifest_activated_again_arrives_again(
    api: Api, path: str, zone: Zone
) -> None:
    """W11: what is loaded is told by the version, not by its manifest."""
    policy = make_policy(zone)
    policy_set = make_set(zone)
    versions = [
        services.add_policy_set_version(
            policy_set.id,
            zone_id=zone.id,
            actor=_system(),
            policy_version_ids=[policy.version.id],
        )
        for _ in range(2)
    ]
    watcher = Watcher(new_id())
    for version in versions:
        activate(version)
        assert status_of(api, path, policy_set)["propagation_status"] != "loaded"
        watcher.turn()
        found = status_of(api, path, policy_set)
        assert found["propagation_status"] == "loaded"
        assert found["sts"]["policy_set_version_id"] == version.id


def test_an_evaluator_that_cannot_load_is_a_failure_with_its_reason(
    api: Api, path: str, zone: Zone
) -> None:
    """W13."""
    version = make_version(zone)
    done = activate(version)
    report(
        new_id(),
        [
            Load(
                zone_id=zone.id,
                revision=done.revision,
                version_id=None,
                error="out of memory",
            )
        ],
    )
    found = status_of(api, path, version.policy_set)
    assert found["propagation_status"] == "failed"
    assert found["sts"]["detail"] == "out of memory"


def test_the_news_is_the_activation_s_own(
    api: Api, path: str, zone: Zone, actor: Actor
) -> None:
    """W14 and W16: a parked event is told, another zone's is not."""
    version = make_version(zone)
    done = activate(version)
    other_zone = zones.create_zone(new_id(), actor=actor)
    foreign = activate(make_version(other_zone))
    query = f"?outbox_id={foreign.outbox_id}"
    found = status_of(api, path, version.policy_set, query)
    assert found["outbox"]["state"] == "missing"
    OutboxEvent.objects.filter(id=done.outbox_id).update(
        parked_at="2026-01-01T00:00:00Z", attempts=3, last_error="unencodable"
    )
    found = status_of(api, path, version.policy_set)
    assert found["outbox"]["state"] == "dead"
    assert found["outbox"]["last_error"] == "unencodable"
    assert found["propagation_status"] == "failed"
    Watcher(new_id()).turn()
    found = status_of(api, path, version.policy_set)
    assert found["propagation_status"] == "loaded"
    OutboxEvent.objects.filter(id=done.outbox_id).delete()
    found = status_of(api, path, version.policy_set)
    assert found["outbox"]["state"] == "missing"
    assert found["propagation_status"] == "loaded"


def test_evaluators_that_are_gone_do_not_count(api: Api, path: str, zone: Zone) -> None:
    from policies.models import PolicyEvaluator

    version = make_version(zone)
    activate(version)
    gone, here = new_id(), Watcher(new_id())
    report(gone, [Load(zone_id=zone.id, revision=0, version_id=None)])
    here.turn()
    assert status_of(api, path, version.policy_set)["propagation_status"] != "loaded"
    PolicyEvaluator.objects.filter(id=gone).update(seen_at="2026-01-01T00:00:00Z")
    assert status_of(api, path, version.policy_set)["propagation_status"] == "loaded"


def test_the_overview_names_what_is_in_force(api: Api, zone: Zone) -> None:
    version = make_version(zone)
    make_set(zone)
    here = f"/v1/zones/{zone.id}/overview"
    found = api.get(here).json()["policy_sets"]
    assert found == {"total": 2, "enforcing": 0, "active_name": None}
    activate(version)
    found = api.get(here).json()["policy_sets"]
    name = version.policy_set.name
    assert found == {"total": 2, "enforcing": 1, "active_name": name}
