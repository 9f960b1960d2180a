"""What uses a thing, and what would end with it: foreseen as it then happens."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.models import AdminAuditEvent
from caracal_site.testing.api import Api, refusal
from caracal_site.testing.world import READ, World
from zones import services, usage
from zones.models import Application, GatewayBinding, Resource, Zone
from zones.tests.factories import (
    ACTOR,
    make_application,
    make_provider,
    make_resource,
    make_zone,
    told,
)


def counts(parts: dict[str, Any]) -> dict[str, int]:
    """How many there are, of what there is."""
    return {kind: part["count"] for kind, part in parts.items() if part["count"]}


def ids(parts: dict[str, Any], kind: str) -> list[str]:
    return [one["id"] for one in parts[kind]["first"]]


def application_path(world: World) -> str:
    return f"/v1/zones/{world.zone.id}/applications/{world.application.id}"


def inhabited(world: World) -> dict[str, Any]:
    """Two agents of the application, one working for the other, one with a child of
    another application; returns the edge between them."""
    other = world.make_application()
    first, second = world.spawn(), world.spawn(labels=["crawler", "night"])
    world.spawn(
        first, by=other, scopes=(f"coordinator.spawn_under:{world.application.id}",)
    )
    return world.delegate(first, second)


def test_everything_that_uses_an_application_is_named(api: Api, world: World) -> None:
    edge = inhabited(world)
    answer = api.get(f"{application_path(world)}/used-by").json()
    used = answer["used_by"]
    assert counts(used) == {
        "agents": 2,
        "delegations": 1,
        "sessions": 1,
        "gateway_bindings": 1,
    }
    assert answer["total"] == 5
    assert ids(used, "delegations") == [edge["delegation_edge_id"]]
    assert ids(used, "gateway_bindings") == [world.resource.id]
    names = {one["name"] for one in used["agents"]["first"]}
    assert names == {"crawler, night", world.application.application.name}
    assert used["agent_services"] == {"count": 0, "first": []}


def test_what_uses_a_provider_and_a_resource_is_named(api: Api, world: World) -> None:
    inhabited(world)
    zone, resource = world.zone, world.resource
    provider = f"/v1/zones/{zone.id}/providers/{resource.credential_provider_id}"
    used = api.get(f"{provider}/used-by").json()["used_by"]
    assert resource.id in ids(used, "resources")
    used = api.get(f"/v1/zones/{zone.id}/resources/{resource.id}/used-by").json()
    assert counts(used["used_by"]) == {"delegations": 1, "gateway_bindings": 1}
    fronting = used["used_by"]["gateway_bindings"]["first"]
    application = world.application.application
    assert fronting == [{"id": application.id, "name": application.name}]


def test_only_the_first_are_named_but_all_are_counted(api: Api, zone: Zone) -> None:
    provider = make_provider(zone)
    application = make_application(zone).application
    for number in range(12):
        make_resource(
            zone,
            identifier=f"resource://r{number}",
            credential_provider_id=provider.id,
            gateway_application_id=application.id,
        )
    path = f"/v1/zones/{zone.id}/providers/{provider.id}/used-by"
    part = api.get(path).json()["used_by"]["resources"]
    assert (part["count"], len(part["first"])) == (12, usage.FIRST)
    newest = Resource.objects.in_zone(zone.id).order_by("-id")[: usage.FIRST]
    assert [one["id"] for one in part["first"]] == [row.id for row in newest]


def test_ended_things_use_nothing(api: Api, world: World) -> None:
    agent = world.spawn()
    world.terminate(agent)
    used = api.get(f"{application_path(world)}/used-by").json()["used_by"]
    assert counts(used) == {"sessions": 1, "gateway_bindings": 1}


def test_all_uses_are_one_statement(world: World) -> None:
    inhabited(world)
    row = Application.objects.get(id=world.application.id)
    for thing in (row, world.zone, world.resource, world.resource.credential_provider):
        with CaptureQueriesContext(connection) as captured:
            usage.used_by(thing)
        assert len(captured) == 1


@pytest.mark.parametrize("collection", ["applications", "providers", "resources"])
def test_uses_are_told_in_the_own_zone_only(
    api: Api, world: World, collection: str
) -> None:
    mine = {
        "applications": world.application.id,
        "providers": world.resource.credential_provider_id,
        "resources": world.resource.id,
    }[collection]
    elsewhere = make_zone()
    for path in (
        f"/v1/zones/{elsewhere.id}/{collection}/{mine}/used-by",
        f"/v1/zones/{world.zone.id}/{collection}/nope/used-by",
    ):
        assert api.get(path).status_code == 404
    path = f"/v1/zones/{world.zone.id}/{collection}/{mine}/used-by"
    assert api.get(path).status_code == 200
    answer = api.post(path)
    assert refusal(answer) == (405, "method_not_allowed")


def test_a_dry_run_tells_what_the_end_of_an_application_then_ends(
    api: Api, world: World
) -> None:
    inhabited(world)
    path = application_path(world)
    foreseen = api.delete(f"{path}?dry_run=true")
    assert foreseen.status_code == 200
    ends = foreseen.json()["ends"]
    assert counts(ends) == {
        "applications": 1,
        "agents": 3,
        "delegations": 1,
        "sessions": 1,
        "gateway_bindings": 1,
    }
    assert foreseen.json()["breaks"] == {}
    before = services.foresee_applications(
        zone_id=world.zone.id, application_ids=[world.application.id]
    )
    done = services.archive_application(
        world.application.id, zone_id=world.zone.id, actor=ACTOR, reason="r"
    )
    for kind in ("applications", "agents", "delegations", "sessions"):
        assert set(getattr(done, kind)) == set(getattr(before, kind)), kind
    assert done.gateway_bindings == before.gateway_bindings == (world.resource.id,)
    row = AdminAuditEvent.objects.in_zone(world.zone.id).order_by("-position")[0]
    assert told(row)["terminated_agents"] == ends["agents"]["count"]


def test_a_dry_run_changes_and_records_nothing(
    api: Api, world: World, events: Any
) -> None:
    inhabited(world)
    events.take()
    paths = [
        application_path(world),
        f"/v1/zones/{world.zone.id}/resources/{world.resource.id}",
        f"/v1/zones/{world.zone.id}",
    ]
    before = [(api.get(path).json(), api.get(path)["ETag"]) for path in paths]
    epoch = world.epoch()
    for path in paths:
        assert api.delete(f"{path}?dry_run=true").status_code == 200
    late = api.delete(f"{paths[0]}?dry_run=true", if_match='"99"')
    assert refusal(late) == (412, "precondition_failed")
    assert [(api.get(path).json(), api.get(path)["ETag"]) for path in paths] == before
    left = events.take()
    assert (left.audit, left.outbox) == ([], [])
    assert world.epoch() == epoch
    assert world.spawn()


def test_a_dry_run_of_a_zone_s_end_tells_all_that_ends_in_it(
    api: Api, world: World
) -> None:
    inhabited(world)
    services.mint_admin_token("t", actor=ACTOR, scope="zone", zone_id=world.zone.id)
    foreseen = services.foresee_zone(zone_id=world.zone.id)
    answer = api.delete(f"/v1/zones/{world.zone.id}?dry_run=true").json()
    assert counts(answer["ends"]) == {
        "applications": 2,
        "resources": 1,
        "providers": 1,
        "admin_tokens": 1,
        "gateway_bindings": 1,
        "agents": 3,
        "delegations": 1,
        "sessions": 2,
    }
    assert answer["breaks"] == {}
    assert ids(answer["ends"], "resources") == [world.resource.id]
    ended = services.archive_zone(world.zone.id, actor=ACTOR, reason="r")
    assert ended.counts == foreseen.counts
    for kind in ("agents", "delegations", "sessions"):
        assert set(getattr(ended, kind)) == set(getattr(foreseen, kind)), kind


def test_a_dry_run_of_a_resource_s_end_tells_what_loses_its_object(
    api: Api, world: World
) -> None:
    edge = inhabited(world)
    other = world.make_resource(world.application, READ)
    wider = world.delegate(
        world.spawn(),
        world.spawn(),
        resource_id=None,
        constraints={"resources": [world.resource.identifier, other.identifier]},
    )
    path = f"/v1/zones/{world.zone.id}/resources/{world.resource.id}"
    used = api.get(f"{path}/used-by").json()["used_by"]
    assert used["delegations"]["count"] == 2
    answer = api.delete(f"{path}?dry_run=true").json()
    assert ids(answer["ends"], "gateway_bindings") == [world.resource.id]
    assert ids(answer["ends"], "delegations") == [edge["delegation_edge_id"]]
    assert ids(answer["breaks"], "delegations") == [wider["delegation_edge_id"]]
    assert answer["breaks"].keys() == {"delegations"}
    assert GatewayBinding.objects.filter(zone=world.zone).exists()
    foreseen = services.foresee_resource(world.resource)
    ended = services.archive_resource(
        world.resource.id, zone_id=world.zone.id, actor=ACTOR, reason="r"
    )
    assert ended == foreseen


def test_a_dry_run_is_refused_as_the_end_would_be(api: Api, zone: Zone) -> None:
    resource = make_resource(zone)
    path = f"/v1/zones/{zone.id}/providers/{resource.credential_provider_id}"
    for asked in (path, f"{path}?dry_run=true"):
        assert refusal(api.delete(asked)) == (409, "provider_in_use")
    unused = f"/v1/zones/{zone.id}/providers/{make_provider(zone).id}"
    answer = api.delete(f"{unused}?dry_run=true").json()
    assert (answer["ends"], answer["breaks"]) == ({}, {})
    assert api.get(unused).status_code == 200
    for collection in ("applications", "providers", "resources"):
        nowhere = f"/v1/zones/{zone.id}/{collection}/nope?dry_run=true"
        assert api.delete(nowhere).status_code == 404


def test_only_who_may_end_a_thing_may_try_it(api: Api, zone: Zone) -> None:
    application = make_application(zone).application
    path = f"/v1/zones/{zone.id}/applications/{application.id}?dry_run=true"
    for scope, capability, code in (
        ({"scope": "global"}, "read", "admin_token_read_only"),
        (
            {"scope": "zone", "zone_id": make_zone().id},
            "write",
            "admin_token_zone_mismatch",
        ),
    ):
        minted = services.mint_admin_token(
            "t", actor=ACTOR, capability=capability, **scope
        )
        assert refusal(Api(minted.plain).delete(path)) == (403, code)
    assert refusal(Api(None).delete(path)) == (401, "invalid_admin_token")
    own = services.mint_admin_token("t", actor=ACTOR, scope="zone", zone_id=zone.id)
    zone_token = Api(own.plain)
    assert zone_token.delete(path).status_code == 200
    refused = zone_token.delete(f"/v1/zones/{zone.id}?dry_run=true")
    assert refusal(refused) == (403, "admin_token_global_required")


@pytest.mark.parametrize(
    "query",
    ["dryrun=true", "dry_run=yes", "dry_run=", "dry_run=true&dry_run=true", "x=1",
     "dry_run=TRUE", "dry_run=1"],
)  # fmt: skip
def test_a_mistyped_dry_run_ends_nothing(api: Api, zone: Zone, query: str) -> None:
    application = make_application(zone).application
    path = f"/v1/zones/{zone.id}/applications/{application.id}"
    assert refusal(api.delete(f"{path}?{query}")) == (400, "invalid_query")
    assert api.get(path).status_code == 200


def test_dry_run_false_is_no_dry_run(api: Api, zone: Zone) -> None:
    application = make_application(zone).application
    path = f"/v1/zones/{zone.id}/applications/{application.id}"
    assert api.delete(f"{path}?dry_run=false").status_code == 204
    assert api.get(path).status_code == 404


def test_what_has_no_preview_takes_no_dry_run(api: Api, actor: Any) -> None:
    minted = services.mint_admin_token("t", actor=actor, scope="global")
    answer = api.delete(f"/v1/admin-tokens/{minted.row.id}?dry_run=true")
    assert refusal(answer) == (400, "invalid_query")
    assert Api(minted.plain).get("/v1/zones?limit=1").status_code == 200
