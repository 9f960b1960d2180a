"""Zones on the Management API."""

from __future__ import annotations

from typing import Any

import pytest

from agents.models import AgentSession
from audit.models import AdminAuditEvent
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, made, refusal
from caracal_site.testing.world import World
from delegations.models import GraphEpoch
from tokens.models import SigningKey
from tokens.tests.factories import Client, make_session
from zones.models import Zone
from zones.tests.factories import make_application, make_dynamic, make_zone

MEMBERS = {
    "id",
    "name",
    "slug",
    "dcr_enabled",
    "operator_coauthor_badge",
    "operator_governed",
    "created_at",
    "updated_at",
}


def test_a_zone_is_created_with_what_it_needs_to_work(api: Api) -> None:
    name = new_id()
    zone = made(api.post("/v1/zones", {"name": f"  {name}!  "}))
    assert zone.keys() == MEMBERS
    assert (zone["name"], zone["slug"]) == (f"{name}!", name)
    assert zone["created_at"].endswith("Z")
    assert len(zone["created_at"]) == len("2026-05-01T12:00:00.123Z")
    assert SigningKey.objects.in_zone(zone["id"]).signing().count() == 1
    assert GraphEpoch.objects.get(zone_id=zone["id"]).epoch == 1
    assert api.get(f"/v1/zones/{zone['id']}").json() == zone


def test_zones_of_one_name_get_slugs_of_their_own(api: Api) -> None:
    name = new_id()
    slugs = [made(api.post("/v1/zones", {"name": name}))["slug"] for _ in range(3)]
    assert slugs == [name, f"{name}-2", f"{name}-3"]


def test_a_slug_is_taken_until_its_zone_is_archived(api: Api) -> None:
    body = {"name": "x", "slug": new_id()}
    first = made(api.post("/v1/zones", body))
    assert refusal(api.post("/v1/zones", body)) == (409, "zone_slug_conflict")
    assert api.delete(f"/v1/zones/{first['id']}").status_code == 204
    made(api.post("/v1/zones", body))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "   "},
        {"name": "x" * 121},
        {"name": "😀" * 61},
        {"name": 5},
        {"name": None},
        {"name": "x", "slug": "Abc"},
        {"name": "x", "slug": "abc\n"},
        {"name": "x", "slug": ""},
        {"name": "x", "slug": "a" * 121},
        {"name": "x", "slug": "a" * 9000},
        {"name": "x", "colour": 1},
        {"name": "x", "dcr_enabled": "yes"},
        {"name": "a\0b"},
        [],
        "text",
    ],
)
def test_what_is_no_zone_is_refused(api: Api, body: Any) -> None:
    assert refusal(api.post("/v1/zones", body)) == (400, "invalid_zone")


def test_every_fault_of_a_body_is_named(api: Api) -> None:
    answer = api.post("/v1/zones", {"slug": "A", "colour": 1}).json()
    paths = {tuple(issue["path"]) for issue in answer["details"]["issues"]}
    assert paths == {("name",), ("slug",), ("colour",)}


@pytest.mark.parametrize(
    "content", [b"{", b"", b"nul", b"null", b'{"name":"a\x00"}', b"\xff"]
)
def test_a_body_that_is_no_json_is_told_in_the_resource_s_own_words(
    api: Api, content: bytes
) -> None:
    answer = api.post("/v1/zones", content=content, content_type="application/json")
    assert refusal(answer) == (400, "invalid_zone")


def test_a_deeply_nested_body_is_refused(api: Api) -> None:
    content = b'{"name":' + b"[" * 900 + b'"\\u0000"' + b"]" * 900 + b"}"
    for headers in ({}, {"idempotency_key": "deep"}):
        answer = api.post("/v1/zones", content=content, **headers)
        assert refusal(answer) == (400, "invalid_zone")


def test_a_body_of_another_type_is_refused(api: Api) -> None:
    answer = api.post("/v1/zones", content=b"name=x", content_type="text/plain")
    assert refusal(answer) == (415, "unsupported_media_type")


def test_a_body_that_is_too_large_is_refused(api: Api) -> None:
    answer = api.post("/v1/zones", {"name": "x" * 1_100_000})
    assert refusal(answer) == (413, "payload_too_large")


def test_a_repeat_under_one_key_gets_the_first_answer(api: Api) -> None:
    body = {"name": new_id()}
    first = api.post("/v1/zones", body, idempotency_key="once")
    again = api.post("/v1/zones", body, idempotency_key="once")
    assert again["Idempotency-Replayed"] == "true"
    assert again.json() == made(first)
    other = api.post("/v1/zones", {"name": "other"}, idempotency_key="once")
    assert refusal(other) == (409, "idempotency_key_conflict")


@pytest.mark.parametrize("name", ["caracal.sys/x", " Caracal.SYS/x"])
def test_reserved_names_are_for_the_platform(api: Api, name: str) -> None:
    zone = make_zone()
    for answer in (
        api.post("/v1/zones", {"name": name}),
        api.patch(f"/v1/zones/{zone.id}", {"name": name}),
        api.post("/v1/zones", {"name": "x", "slug": "caracal-sys-x"}),
        api.patch(f"/v1/zones/{zone.id}", {"slug": "caracal-sys-x"}),
    ):
        assert refusal(answer) == (409, "reserved_namespace")
        assert answer.json()["detail"]


def test_a_zone_that_sounds_reserved_stays_its_owner_s(api: Api) -> None:
    zone = made(api.post("/v1/zones", {"name": "Caracal Sys Foo"}))
    assert zone["slug"].startswith("zone-caracal-sys-foo")
    listed = api.get("/v1/zones?limit=20")
    assert zone["id"] in {row["id"] for row in listed.json()}
    path = f"/v1/zones/{zone['id']}"
    assert api.patch(path, {"operator_coauthor_badge": False}).status_code == 200


def test_a_zone_is_changed(api: Api, zone: Zone) -> None:
    path = f"/v1/zones/{zone.id}"
    slug = new_id()
    changed = api.patch(
        path, {"name": " New ", "slug": slug, "operator_governed": True}
    )
    assert changed.status_code == 200
    assert changed.json() == {
        **api.get(path).json(),
        "name": "New",
        "slug": slug,
        "operator_governed": True,
    }
    assert changed.json()["updated_at"] > changed.json()["created_at"]


def test_switching_self_registration_off_keeps_the_other_fields(api: Api) -> None:
    zone = make_zone(dcr_enabled=True)
    body = {"dcr_enabled": False, "operator_governed": True}
    changed = api.patch(f"/v1/zones/{zone.id}", body).json()
    assert changed.keys() == MEMBERS
    assert changed["operator_governed"] is True


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "no_fields"),
        ({"colour": 1}, 400, "invalid_zone"),
        ({"name": None}, 400, "invalid_zone"),
        ({"dcr_shutdown": "keep_live"}, 400, "dcr_shutdown_not_applicable"),
        ({"dcr_shutdown": "later", "dcr_enabled": False}, 400, "invalid_zone"),
    ],
)
def test_a_bad_change_is_refused(
    api: Api, zone: Zone, body: Any, status: int, code: str
) -> None:
    assert refusal(api.patch(f"/v1/zones/{zone.id}", body)) == (status, code)


def test_a_taken_slug_is_a_conflict_on_every_way(api: Api, zone: Zone) -> None:
    other = make_zone()
    for body in ({"slug": zone.slug}, {"slug": zone.slug, "dcr_enabled": False}):
        answer = api.patch(f"/v1/zones/{other.id}", body)
        assert refusal(answer) == (409, "zone_slug_conflict")


@pytest.mark.parametrize("zone_id", ["nope", "archived"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("GET", "/dcr-status"),
        ("GET", "/overview"),
        ("GET", "/applications"),
        ("POST", "/applications"),
        ("GET", "/applications/x"),
        ("PATCH", "/applications/x"),
        ("POST", "/applications/dcr"),
        ("POST", "/applications/x/rotate-secret"),
        ("GET", "/providers"),
        ("POST", "/providers"),
        ("POST", "/providers/x/test"),
        ("GET", "/resources"),
        ("POST", "/resources"),
        ("DELETE", "/resources/x"),
    ],
)
def test_a_zone_that_is_not_there_is_not_there_anywhere(
    api: Api, zone_id: str, method: str, path: str
) -> None:
    if zone_id == "archived":
        zone_id = make_zone().id
        assert api.delete(f"/v1/zones/{zone_id}").status_code == 204
    answer = api.request(method, f"/v1/zones/{zone_id}{path}")
    assert refusal(answer) == (404, "zone_not_found")


@pytest.mark.parametrize(
    "path", ["/v1/zones/a%20b", "/v1/zones/a%00b", "/v1/zones/" + "x" * 129]
)
def test_what_is_no_id_is_refused(api: Api, path: str) -> None:
    for method in ("GET", "DELETE"):
        assert refusal(api.request(method, path)) == (400, "invalid_params")


def test_the_status_of_self_registration_counts_the_live(api: Api, zone: Zone) -> None:
    make_dynamic(zone)
    status = api.get(f"/v1/zones/{zone.id}/dcr-status")
    assert status.json() == {
        "id": zone.id,
        "dcr_enabled": True,
        "live_dcr_applications": 1,
    }


def test_ending_self_registration_needs_a_word_about_the_live(
    api: Api, zone: Zone
) -> None:
    make_dynamic(zone)
    path = f"/v1/zones/{zone.id}"
    answer = api.patch(path, {"dcr_enabled": False})
    assert refusal(answer) == (409, "dcr_shutdown_required")
    assert answer.json()["live_dcr_applications"] == 1
    assert api.get(path).json()["dcr_enabled"] is True


def test_the_live_may_be_kept(api: Api, zone: Zone) -> None:
    application = make_dynamic(zone)
    path = f"/v1/zones/{zone.id}"
    body = {"dcr_enabled": False, "dcr_shutdown": "keep_live"}
    assert api.patch(path, body).json()["dcr_enabled"] is False
    assert api.get(f"{path}/applications/{application.id}").status_code == 200
    row = AdminAuditEvent.objects.in_zone(zone.id).latest("position")
    assert row.payload_json["dcr_shutdown_mode"] == "keep_live"
    assert row.payload_json["live_dcr_applications"] == 1


def test_the_live_may_be_ended_with_all_they_do(api: Api, world: World) -> None:
    zone = world.zone
    application = make_dynamic(zone)
    managed = world.spawn()
    session = make_session(Client(application, ""))
    agent = AgentSession.objects.create(
        zone=zone, application=application, subject_session=session
    )
    body = {"dcr_enabled": False, "dcr_shutdown": "revoke_live"}
    assert api.patch(f"/v1/zones/{zone.id}", body).status_code == 200
    agent.refresh_from_db()
    session.refresh_from_db()
    application.refresh_from_db()
    assert (agent.status, agent.termination_reason) == ("terminated", "dcr_shutdown")
    assert (session.status, session.revoked_reason) == ("revoked", "dcr_shutdown")
    assert application.archived_at is not None
    assert world.agent(managed).status == "active"
    row = (
        AdminAuditEvent.objects.in_zone(zone.id)
        .filter(payload_json__event="zone.dcr_shutdown")
        .get()
    )
    told = row.payload_json
    assert told["dcr_shutdown_mode"] == "revoke_live"
    assert told["revoked_applications"] == told["revoked_sessions"] == 1
    assert told["terminated_agents"] == 1
    assert (row.method, row.status_code) == ("PATCH", 200)


def test_archiving_a_zone_ends_all_that_acts_in_it(api: Api, world: World) -> None:
    parent = world.spawn()
    child = world.spawn(parent)
    edge = world.delegate(parent, child)
    session = world.session()
    assert api.delete(f"/v1/zones/{world.zone.id}").status_code == 204
    assert world.agent(parent).status == world.agent(child).status == "terminated"
    assert world.edge(edge).status == "revoked"
    session.refresh_from_db()
    assert session.status == "revoked"
    assert world.try_spawn().status_code in (401, 403, 404)
    row = (
        AdminAuditEvent.objects.in_zone(world.zone.id)
        .filter(payload_json__event="zone.archived")
        .get()
    )
    assert row.payload_json["terminated_agents"] == 2
    assert row.entity_id == world.zone.id
    assert row.status_code == 204


def test_a_zone_s_overview_tells_what_stands_in_it(api: Api, zone: Zone) -> None:
    make_application(zone)
    make_dynamic(zone)
    overview = api.get(f"/v1/zones/{zone.id}/overview")
    assert overview.status_code == 200
    body = overview.json()
    assert body["zone_id"] == zone.id
    assert body["applications"] == {"total": 2, "expired": 0, "expiring_soon": 1}
    assert body["resources"] == {"total": 0, "unenforced": 0}
    assert body["sessions"] == {"active": 0}
    assert body["decisions_24h"] == {"allowed": 0, "denied": 0}
    assert body["recent_events"] == []
