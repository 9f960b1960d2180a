"""Agent services: endpoints registered, looked at and deregistered."""

from __future__ import annotations

from typing import Any

import pytest

from agents.models import AgentService
from agents.registry.rules import endpoint_fault
from caracal_site.actors import Actor
from caracal_site.testing.evidence import Events
from caracal_site.testing.world import ADMIN, World, refusal
from zones import services

SERVICES = "/agent-services"
FULL = {
    "endpoint_url": "https://svc.example.com/a",
    "protocol_versions": ["1.0"],
    "framework": {"name": "fw", "version": "2"},
    "capabilities": ["c1"],
    "metadata": {"m": 1},
}


def body(world: World, **members: Any) -> dict[str, Any]:
    return {"application_id": world.application.id, **FULL, **members}


def test_an_endpoint_is_registered_and_told(world: World, events: Events) -> None:
    answer = world.post(SERVICES, body(world))
    assert answer.status_code == 201
    made = answer.json()
    assert {name: made[name] for name in made if name != "last_heartbeat_at"} == {
        "id": made["id"],
        "zone_id": world.zone.id,
        "application_id": world.application.id,
        "endpoint_url": "https://svc.example.com/a",
        "protocol_versions": ["1.0"],
        "framework_name": "fw",
        "framework_version": "2",
        "capabilities": ["c1"],
        "health": "starting",
        "metadata_json": {"m": 1},
    }
    assert made["last_heartbeat_at"]
    left = events.take()
    assert left.outbox == []
    (audit,) = left.audit
    assert (audit.entity_type, audit.entity_id) == ("agent-services", made["id"])
    assert audit.payload_json["event"] == "agent_service.registered"
    assert world.get(f"{SERVICES}/{made['id']}").json() == made


def test_a_repeated_registration_says_anew_what_the_endpoint_is(
    world: World, events: Events
) -> None:
    """And can be told from a new one (W36)."""
    first = world.post(SERVICES, body(world)).json()
    agent = world.spawn()
    world.heartbeat(agent, {"service_id": first["id"], "status": "degraded"})
    events.take()
    again = body(world, capabilities=["c2"], metadata={})
    del again["framework"]
    answer = world.post(SERVICES, again)
    assert answer.status_code == 200
    second = answer.json()
    assert second["id"] == first["id"]
    assert (second["capabilities"], second["metadata_json"]) == (["c2"], {})
    assert second["framework_name"] is second["framework_version"] is None
    assert second["health"] == "degraded"
    (audit,) = events.take().audit
    assert audit.payload_json["event"] == "agent_service.updated"
    assert audit.status_code == 200


def test_registrations_at_once_make_one_service(world: World) -> None:
    for number in range(5):
        given = body(world, endpoint_url=f"https://svc.example.com/{number}")
        found = world.at_once(*(world.start("POST", SERVICES, given) for _ in range(4)))
        assert sorted(found) == [200, 200, 200, 201]
        assert AgentService.objects.filter(endpoint_url=given["endpoint_url"]).filter(
            zone=world.zone
        ).count() == 1  # fmt: skip


def test_another_application_has_the_same_endpoint_for_itself(world: World) -> None:
    other = world.make_application()
    ids = {world.register()["id"], world.register(by=other)["id"]}
    assert len(ids) == 2


def test_only_who_acts_for_an_application_registers_its_services(world: World) -> None:
    other = world.make_application()
    given = body(world, application_id=other.id)
    answer = world.post(SERVICES, given)
    assert refusal(answer) == (403, "application_ownership_required")
    answer = world.post(SERVICES, given, scopes=(ADMIN,))
    assert refusal(answer) == (403, "application_ownership_required")
    leave = (f"coordinator.spawn_for:{other.id}",)
    assert world.post(SERVICES, given, scopes=leave).status_code == 201
    given["application_id"] = "nope"
    answer = world.post(SERVICES, given, scopes=("coordinator.spawn_for:nope",))
    assert refusal(answer) == (404, "application_not_found")


def test_an_agent_registers_no_services(world: World) -> None:
    agent = world.spawn()
    bound = world.token(agent_session_id=agent["agent_session_id"])
    answer = world.post(SERVICES, body(world), token=bound)
    assert refusal(answer) == (403, "outside_agent_subtree")
    service = world.register()
    answer = world.delete(f"{SERVICES}/{service['id']}", token=bound)
    assert refusal(answer) == (403, "outside_agent_subtree")


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"endpoint_url": "nope"}, ["endpoint_url"]),
        ({"endpoint_url": "/relative"}, ["endpoint_url"]),
        ({"endpoint_url": "javascript://x/%0aalert(1)"}, ["endpoint_url"]),
        ({"endpoint_url": "x" * 2001}, ["endpoint_url"]),
        ({"endpoint_url": 5}, ["endpoint_url"]),
        ({"framework": {}}, ["framework", "name"]),
        ({"framework": {"name": "f", "made": 1}}, ["framework", "made"]),
        ({"framework": None}, ["framework"]),
        ({"capabilities": [""]}, ["capabilities", "0"]),
        ({"capabilities": ["c"] * 65}, ["capabilities"]),
        ({"protocol_versions": "1.0"}, ["protocol_versions"]),
        ({"metadata": []}, ["metadata"]),
        ({"health": "healthy"}, ["health"]),
    ],
)
def test_a_wrong_registration_is_refused(
    world: World, members: dict[str, Any], path: list[str]
) -> None:
    answer = world.post(SERVICES, body(world, **members))
    assert refusal(answer) == (400, "invalid_body")
    assert path == answer.json()["details"]["issues"][0]["path"][: len(path)]


@pytest.mark.parametrize(
    ("url", "is_fine"),
    [
        ("https://svc.example.com/a?b=c#d", True),
        ("ftp://svc.example.com/c", True),
        ("grpc+tls://[2001:db8::1]:443", True),
        ("JavaScript://a/b", False),
        ("data:text/html,x", False),
        ("file:///etc/passwd", False),
        ("https://user:secret@svc.example.com/", False),
        ("https://", False),
        ("https://a b.example.com", False),
        ("https://é.example.com", False),
        ("//svc.example.com", False),
        ("http://:80", False),
        ("http://[", False),
        ("http://[12345::1]/", False),
        ("http://[::1]:8080/", True),
        ("https://%", False),
        ("http://svc.example.com:0/", False),
        ("http://svc.example.com:65536/", False),
        ("http://svc.example.com:65535", True),
    ],
)
def test_an_endpoint_is_where_somebody_can_be_called(url: str, is_fine: bool) -> None:
    assert (endpoint_fault(url) is None) == is_fine


def test_a_deregistered_service_is_gone_and_its_calls_are_canceled(
    world: World, events: Events
) -> None:
    service = world.register()
    waiting, running, done = (world.invoke(service) for _ in range(3))
    for call in (running, done):
        world.move("start", call)
    world.move("complete", done, {"status": "succeeded"})
    events.take()
    path = f"{SERVICES}/{service['id']}"
    assert world.delete(f"{path}?reason=moved").status_code == 204
    found = [world.invocation(call) for call in (waiting, running, done)]
    assert [row.status for row in found] == ["canceled", "canceled", "succeeded"]
    assert found[1].error_json == {"reason": "service_deregistered"}
    left = events.take()
    told = left.payloads("caracal.invocations.lifecycle")
    assert [news["event"] for news in told] == ["invocation.canceled"] * 2
    (audit,) = left.audit
    assert audit.payload_json["event"] == "agent_service.deregistered"
    assert audit.payload_json["reason"] == "moved"
    assert world.service(service).deregistration_reason == "moved"
    gone = (404, "agent_service_not_found")
    assert refusal(world.get(path)) == refusal(world.delete(path)) == gone
    assert world.get(SERVICES).json()["items"] == []
    answer = world.post("/invocations", world.call_body(service))
    assert refusal(answer) == gone
    again = world.register()
    assert again["id"] != service["id"], "another service at the same endpoint"


def test_services_end_with_their_application(world: World, actor: Actor) -> None:
    """W14: services of an archived application went on being listed for ever."""
    other = world.make_application()
    mine, theirs = world.register(), world.register(by=other)
    waiting = world.invoke(theirs, grants=(ADMIN,))
    ended = services.archive_application(
        other.id, zone_id=world.zone.id, actor=actor, reason="no longer needed"
    )
    assert waiting["id"] in ended.invocations
    assert world.invocation(waiting).status == "canceled"
    assert world.service(theirs).deregistration_reason == "no longer needed"
    assert world.service(mine).deregistered_at is None


def test_only_who_manages_a_service_deregisters_it(world: World) -> None:
    other = world.make_application()
    path = f"{SERVICES}/{world.register()['id']}"
    answer = world.delete(path, by=other)
    assert refusal(answer) == (403, "application_ownership_required")
    assert world.delete(path, by=other, scopes=(ADMIN,)).status_code == 204
    answer = world.delete(f"{path}?reason=%0a")
    assert refusal(answer) == (400, "invalid_query")


def test_a_service_is_seen_by_its_application_and_who_sees_the_zone(
    world: World,
) -> None:
    other = world.make_application()
    path = f"{SERVICES}/{world.register()['id']}"
    assert refusal(world.get(path, by=other)) == (404, "agent_service_not_found")
    assert world.get(path, by=other, scopes=(ADMIN,)).status_code == 200
    mine = world.get(f"{SERVICES}?application_id={other.id}", scopes=(ADMIN,))
    assert mine.json()["items"] == []


def test_pages_of_services_go_on_where_the_last_ended(world: World) -> None:
    ids = [world.register(f"https://{n}.example.com/")["id"] for n in range(5)]
    page = world.get(f"{SERVICES}?limit=2").json()
    found = [item["id"] for item in page["items"]]
    while page["next_cursor"]:
        page = world.get(f"{SERVICES}?limit=2&cursor={page['next_cursor']}").json()
        found += [item["id"] for item in page["items"]]
    assert found == ids[::-1]
    for wrong in ("limit=0", "health=odd", "unknown=1", "status=healthy"):
        assert refusal(world.get(f"{SERVICES}?{wrong}")) == (400, "invalid_query")
    assert refusal(world.get(f"{SERVICES}?cursor=nope")) == (400, "invalid_cursor")
