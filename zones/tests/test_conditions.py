"""Entity tags of items, and changes on a condition (weakness 39)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from audit.models import AdminAuditEvent
from caracal_site.errors import CaracalError
from caracal_site.ids import new_id
from caracal_site.preconditions import precondition_of
from caracal_site.testing.api import Api, made, refusal
from caracal_site.testing.races import Threads, held
from caracal_site.testing.world import World
from zones import services
from zones.models import Application, Provider, Resource, Zone
from zones.tests.factories import (
    ACTOR,
    make_application,
    make_provider,
    make_resource,
    make_zone,
    resource_fields,
)

Make = Callable[[Zone], str]
NAMED: dict[str, Any] = {"name": "renamed"}


def the_zone(zone: Zone) -> str:
    return f"/v1/zones/{zone.id}"


def an_application(zone: Zone) -> str:
    made_one = make_application(zone).application
    return f"/v1/zones/{zone.id}/applications/{made_one.id}"


def a_provider(zone: Zone) -> str:
    return f"/v1/zones/{zone.id}/providers/{make_provider(zone).id}"


def a_resource(zone: Zone) -> str:
    return f"/v1/zones/{zone.id}/resources/{make_resource(zone).id}"


ITEMS = [the_zone, an_application, a_provider, a_resource]
of_every_kind = pytest.mark.parametrize("make", ITEMS, ids=lambda make: make.__name__)


@of_every_kind
def test_an_item_has_one_strong_tag_until_it_is_changed(
    api: Api, zone: Zone, make: Make
) -> None:
    path = make(zone)
    first = api.get(path)["ETag"]
    assert first.startswith('"')
    assert api.get(path)["ETag"] == api.head(path)["ETag"] == first
    changed = api.patch(path, NAMED)
    assert changed.status_code == 200
    assert changed["ETag"] == api.get(path)["ETag"] != first
    # The same once more is a change as well: it has another updated_at.
    assert api.patch(path, NAMED)["ETag"] != changed["ETag"]


@pytest.mark.parametrize(
    ("collection", "body"),
    [
        ("applications", {"name": "a", "registration_method": "managed"}),
        ("providers", {"name": "p", "kind": "none"}),
        ("resources", None),
    ],
)
def test_what_is_made_comes_with_its_tag(
    api: Api, zone: Zone, collection: str, body: Any
) -> None:
    path = f"/v1/zones/{zone.id}/{collection}"
    key = new_id()
    given = body or dict(resource_fields(zone))
    answer = api.post(path, given, idempotency_key=key)
    row = made(answer)
    assert answer["ETag"] == api.get(f"{path}/{row['id']}")["ETag"]
    again = api.post(path, given, idempotency_key=key)
    assert again["Idempotency-Replayed"] == "true"
    assert (again["ETag"], again.json()) == (answer["ETag"], row)


def test_a_new_zone_comes_with_its_tag(api: Api) -> None:
    answer = api.post("/v1/zones", {"name": new_id()})
    assert answer["ETag"] == api.get(f"/v1/zones/{made(answer)['id']}")["ETag"]


@of_every_kind
def test_a_change_on_the_tag_of_now_is_made(api: Api, zone: Zone, make: Make) -> None:
    path = make(zone)
    tag = api.get(path)["ETag"]
    for written in ("{}", '"x", {}', "*"):
        changed = api.patch(path, NAMED, if_match=written.format(tag))
        assert changed.status_code == 200
        tag = changed["ETag"]
    assert api.delete(path, if_match=tag).status_code == 204


@of_every_kind
def test_a_change_on_a_tag_of_before_is_refused(
    api: Api, zone: Zone, make: Make
) -> None:
    path = make(zone)
    stale = api.get(path)["ETag"]
    current = api.patch(path, NAMED)["ETag"]
    before = api.get(path).json()
    for request in (
        lambda: api.patch(path, {"name": "late"}, if_match=stale),
        lambda: api.patch(path, {"name": "late"}, if_match=f"W/{current}"),
        lambda: api.patch(path, {"name": "late"}, if_none_match=current),
        lambda: api.patch(path, {"name": "late"}, if_none_match="*"),
        lambda: api.delete(path, if_match=stale),
        lambda: api.delete(f"{path}?dry_run=true", if_match=stale),
    ):
        answer = request()
        assert refusal(answer) == (412, "precondition_failed")
        assert answer["ETag"] == current
    assert api.get(path).json() == before
    assert api.get(path)["ETag"] == current


@of_every_kind
@pytest.mark.parametrize("header", ["3", '"', "", '"a" "b"', "*, *"])
def test_a_condition_nobody_understands_is_refused(
    api: Api, zone: Zone, make: Make, header: str
) -> None:
    path = make(zone)
    for answer in (
        api.patch(path, NAMED, if_match=header),
        api.delete(path, if_match=header),
        api.delete(path, if_none_match=header),
    ):
        assert refusal(answer) == (400, "invalid_precondition")
    assert api.get(path)["ETag"] == '"1"'


@of_every_kind
def test_a_reader_is_told_what_it_has_already(api: Api, zone: Zone, make: Make) -> None:
    path = make(zone)
    tag = api.get(path)["ETag"]
    for known in (tag, f"W/{tag}", f'"x",{tag}', "*"):
        for read in (api.get, api.head):
            answer = read(path, if_none_match=known)
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer["ETag"] == tag
            assert answer["X-Request-ID"]
    for unknown in ('"x"', "garbage", '"'):
        assert api.get(path, if_none_match=unknown).json() == api.get(path).json()
    api.patch(path, NAMED)
    assert api.get(path, if_none_match=tag).status_code == 200


def test_rotating_a_secret_is_a_change_on_a_condition(api: Api, zone: Zone) -> None:
    path = an_application(zone)
    tag = api.get(path)["ETag"]
    rotated = api.post(f"{path}/rotate-secret", if_match=tag)
    assert rotated.status_code == 200
    assert rotated["ETag"] == api.get(path)["ETag"] != tag
    late = api.post(f"{path}/rotate-secret", if_match=tag)
    assert refusal(late) == (412, "precondition_failed")
    assert "client_secret" not in late.json()


def test_what_is_not_there_is_not_found_whatever_the_condition(
    api: Api, zone: Zone
) -> None:
    for collection in ("applications", "providers", "resources"):
        path = f"/v1/zones/{zone.id}/{collection}/nope"
        for condition in ("*", '"1"'):
            assert api.patch(path, NAMED, if_match=condition).status_code == 404
            assert api.delete(path, if_match=condition).status_code == 404


def test_a_refused_change_is_recorded(api: Api, zone: Zone) -> None:
    path = an_application(zone)
    api.patch(path, NAMED, if_match='"99"')
    rows = AdminAuditEvent.objects.in_zone(zone.id).filter(status_code=412)
    [row] = rows
    assert row.payload_json["error"] == "precondition_failed"


@pytest.mark.parametrize("model", [Zone, Application, Provider, Resource])
def test_two_changes_in_one_transaction_are_two_versions(
    zone: Zone, model: Any
) -> None:
    rows = {
        Zone: lambda: zone,
        Application: lambda: make_application(zone).application,
        Provider: lambda: make_provider(zone),
        Resource: lambda: make_resource(zone),
    }
    row = rows[model]()
    with transaction.atomic():
        for _ in range(2):
            model.objects.filter(id=row.id).update(name="same")
    seen = model.objects.get(id=row.id)
    assert seen.version == row.version + 2


def test_a_resource_has_another_tag_without_its_gateway(api: Api, zone: Zone) -> None:
    application = make_application(zone).application
    resource = make_resource(zone, gateway_application_id=application.id)
    path = f"/v1/zones/{zone.id}/resources/{resource.id}"
    before = api.get(path)
    services.archive_application(
        application.id, zone_id=zone.id, actor=ACTOR, reason="r"
    )
    after = api.get(path)
    assert after.json()["gateway_application_id"] is None
    assert after["ETag"] != before["ETag"]
    assert after.json()["updated_at"] >= before.json()["updated_at"]


def test_of_many_changes_on_one_tag_one_is_made(zone: Zone) -> None:
    application = make_application(zone).application
    condition = precondition_of({"If-Match": f'"{application.version}"'}.get)

    def rename(name: str) -> str:
        try:
            services.change_application(
                application.id,
                zone_id=zone.id,
                actor=ACTOR,
                changes={"name": name},
                if_match=condition,
            )
        except CaracalError as error:
            return str(error.code)
        return "made"

    rows = Application.objects.filter(id=application.id)
    with Threads(4) as threads:
        with held(rows) as waiting:
            started = [threads.start(rename, f"n{n}") for n in range(4)]
            waiting(4)
        outcomes = Counter(future.result(60) for future in started)
    assert outcomes == {"made": 1, "precondition_failed": 3}
    assert rows.get().version == application.version + 1


def test_a_tag_costs_no_statement(api: Api, zone: Zone) -> None:
    path = an_application(zone)
    api.get(path)

    def cost(**headers: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert api.patch(path, NAMED, **headers).status_code == 200
        return len(captured)

    assert cost(if_match="*") == cost()


def test_an_edge_has_a_tag(api: Api, world: World) -> None:
    edge = world.delegate(world.spawn(), world.spawn())
    path = f"/v1/zones/{world.zone.id}/delegations/{edge['delegation_edge_id']}"
    first = api.get(path)["ETag"]
    assert api.get(path, if_none_match=first).status_code == 304
    world.revoke(edge)
    assert api.get(path)["ETag"] != first


def test_a_zone_of_another_tenant_has_its_own_versions(api: Api) -> None:
    one, two = make_zone(), make_zone()
    api.patch(the_zone(one), NAMED)
    assert api.get(the_zone(two))["ETag"] == '"1"'
