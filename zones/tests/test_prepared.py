"""Queries compiled once answer as the ORM would."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from caracal_site.api.renderers import dumps
from caracal_site.prepared import NotAnArgument, PreparedList, PreparedPage
from caracal_site.testing.api import Api
from zones import services
from zones.api import shapes
from zones.models import Resource, Zone
from zones.tests.factories import ACTOR, make_provider, make_resource


def found() -> PreparedList:
    return PreparedList(
        lambda zone_id: Resource.objects.in_zone(zone_id).with_gateway_application(),
        columns=shapes.RESOURCE,
        arguments=("zone_id",),
    )


def parsed(page: PreparedPage) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = orjson.loads(orjson.dumps(page.rows))
    return rows


def test_rows_are_written_as_the_orm_s(zone: Zone) -> None:
    provider = make_provider(zone)
    for name in ("a", 'b"\\ ü', "c%s%(x)s"):
        make_resource(zone, name=name, credential_provider_id=provider.id)
    operations = [{"method": "GET", "path": "/x", "scope": "read"}]
    make_resource(zone, credential_provider_id=provider.id, operations=operations)
    expected = Resource.objects.in_zone(zone.id).with_gateway_application()
    expected = expected.order_by("-created_at", "-id").values(*shapes.RESOURCE)
    read = found().first_page(limit=10, zone_id=zone.id)
    assert parsed(read) == orjson.loads(dumps(list(expected)))
    assert read.last is None
    page = found().first_page(limit=2, zone_id=zone.id)
    assert parsed(page) == parsed(read)[:2]
    assert page.last == (expected[1]["id"], expected[1]["created_at"])
    assert found().first_page(limit=4, zone_id=zone.id).last is None


def test_another_run_has_other_values_and_no_others(zone: Zone, actor: object) -> None:
    prepared, other = found(), services.create_zone("other", actor=ACTOR)
    make_resource(zone)
    mine = make_resource(other)
    assert len(parsed(prepared.first_page(limit=5, zone_id=zone.id))) == 1
    [row] = parsed(prepared.first_page(limit=5, zone_id=other.id))
    assert row["id"] == mine.id
    assert parsed(prepared.first_page(limit=5, zone_id="' OR 1=1 --")) == []


def test_a_value_that_is_no_argument_is_refused(zone: Zone) -> None:
    leaking = PreparedList(
        lambda zone_id: Resource.objects.in_zone(zone_id).filter(name=zone.name),
        columns=("id",),
        arguments=("zone_id",),
    )
    with pytest.raises(NotAnArgument):
        leaking.first_page(limit=1, zone_id=zone.id)
    unused = PreparedList(
        lambda zone_id, name: Resource.objects.in_zone(zone_id),
        columns=("id",),
        arguments=("zone_id", "name"),
    )
    with pytest.raises(NotAnArgument):
        unused.first_page(limit=1, zone_id=zone.id, name="x")


def test_the_first_page_is_the_same_whichever_way_it_is_read(
    api: Api, zone: Zone
) -> None:
    provider = make_provider(zone)
    for _ in range(3):
        make_resource(zone, credential_provider_id=provider.id)
    path = f"/v1/zones/{zone.id}/resources"
    # A filter that everything passes is read the usual way.
    usual = f"credential_provider_id={provider.id}"
    assert api.get(path).json() == api.get(f"{path}?{usual}").json()
    first = api.get(f"{path}?limit=2")
    assert first.json() == api.get(f"{path}?limit=2&{usual}").json()
    following = first["Link"].split(";")[0].strip("<>")
    [last] = api.get(following).json()
    assert last["id"] not in first.content.decode()
    assert "Link" not in api.get(f"{path}?limit=3")
    assert api.get(f"{path}?limit=501").status_code == 400
    assert api.get(f"{path}?limit=0").status_code == 400
    assert api.get(f"{path}?limit=1&limit=2").status_code == 400
    mine = services.mint_admin_token("t", actor=ACTOR, scope="zone", zone_id=zone.id)
    assert api.as_(mine.plain).get(path).content == api.get(path).content


def test_a_zone_token_s_first_page_has_no_control_resource(
    api: Api, zone: Zone, settings: object
) -> None:
    make_resource(zone)
    body = {
        "identifier": settings.CONTROL_AUDIENCE,  # type: ignore[attr-defined]
        "scopes": ["control:invoke"],
    }
    made = api.post(f"/v1/zones/{zone.id}/resources", body)
    assert made.status_code == 201, made.content
    mine = services.mint_admin_token("t", actor=ACTOR, scope="zone", zone_id=zone.id)
    path = f"/v1/zones/{zone.id}/resources"
    assert len(api.get(path).json()) == 2
    assert len(api.as_(mine.plain).get(path).json()) == 1
