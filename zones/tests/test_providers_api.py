"""Providers on the Management API."""

from __future__ import annotations

from typing import Any

import pytest

from caracal_site.testing.api import Api, made, refusal
from zones.models import Provider, Zone
from zones.tests.factories import make_provider, make_resource, make_zone

MEMBERS = {
    "id",
    "zone_id",
    "name",
    "identifier",
    "kind",
    "config_json",
    "secret_config_keys",
    "created_at",
    "updated_at",
}


def path(zone: Zone, rest: str = "") -> str:
    return f"/v1/zones/{zone.id}/providers{rest}"


def test_a_provider_gets_its_identifier_from_its_name(api: Api, zone: Zone) -> None:
    body = {"name": " No cred ", "kind": "none"}
    first = made(api.post(path(zone), body))
    assert first.keys() == MEMBERS
    assert first["name"] == "No cred"
    assert first["identifier"] == "provider://no-cred"
    assert (first["config_json"], first["secret_config_keys"]) == ({}, [])
    second = made(api.post(path(zone), body))
    assert second["identifier"] == "provider://no-cred-2"
    assert api.get(path(zone)).json() == [second, first]
    assert api.get(path(zone, f"/{first['id']}")).json() == first


def test_a_provider_gets_its_name_from_its_identifier(api: Api, zone: Zone) -> None:
    body = {"identifier": "provider://abc", "name": " ", "kind": "none"}
    provider = made(api.post(path(zone), body))
    assert provider["name"] == "provider://abc"
    taken = api.post(path(zone), body)
    assert refusal(taken) == (409, "provider_identifier_conflict")
    other = make_provider(zone)
    taken = api.patch(path(zone, f"/{other.id}"), {"identifier": "provider://abc"})
    assert refusal(taken) == (409, "provider_identifier_conflict")
    assert api.delete(path(zone, f"/{provider['id']}")).status_code == 204
    made(api.post(path(zone), body))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"kind": "none"}, "invalid_provider"),
        ({"name": "x", "kind": "odd"}, "invalid_provider"),
        ({"name": " ", "kind": "none"}, "invalid_provider"),
        ({"name": "x", "kind": "none", "config_json": None}, "invalid_provider"),
        ({"name": "x", "kind": "none", "colour": 1}, "invalid_provider"),
        ({"name": "x" * 9000, "kind": "none"}, "invalid_provider"),
        (
            {"identifier": "provider://A_b", "kind": "none"},
            "invalid_provider_identifier",
        ),
        (
            {"identifier": "provider://a\n\n.", "kind": "none"},
            "invalid_provider_identifier",
        ),
        (
            {"identifier": "provider://" + "a" * 200, "kind": "none"},
            "invalid_provider_identifier",
        ),
        (
            {"name": "x", "kind": "none", "config_json": {"a": 1}},
            "invalid_provider_config",
        ),
        ({"name": "x", "kind": "api_key"}, "invalid_provider_config"),
    ],
)
def test_what_is_no_provider_is_refused(
    api: Api, zone: Zone, body: Any, code: str
) -> None:
    assert refusal(api.post(path(zone), body)) == (400, code)


def test_a_kind_that_is_not_available_is_told_so(api: Api, zone: Zone) -> None:
    answer = api.post(path(zone), {"name": "x", "kind": "api_key"}).json()
    assert "not available" in answer["message"]
    assert "not available" in answer["error_description"]


def test_reserved_identifiers_are_for_the_platform(api: Api, zone: Zone) -> None:
    for body in ({"identifier": "provider://caracal-sys-x"}, {"name": "Caracal sys x"}):
        answer = api.post(path(zone), {**body, "kind": "none"})
        assert refusal(answer) == (409, "reserved_namespace")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "no_fields"),
        ({"name": " "}, 400, "no_fields"),
        ({"kind": "none"}, 400, "provider_config_required"),
        ({"config_json": {"a": 1}}, 400, "invalid_provider_config"),
        ({"kind": "api_key", "config_json": {}}, 400, "invalid_provider_config"),
        ({"nmae": "x"}, 400, "invalid_provider"),
        ({"identifier": "x"}, 400, "invalid_provider_identifier"),
        ({"identifier": "provider://caracal-sys-x"}, 409, "reserved_namespace"),
    ],
)
def test_a_bad_change_is_refused(
    api: Api, zone: Zone, body: Any, status: int, code: str
) -> None:
    provider = make_provider(zone)
    answer = api.patch(path(zone, f"/{provider.id}"), body)
    assert refusal(answer) == (status, code)


def test_a_provider_is_changed(api: Api, zone: Zone) -> None:
    provider = make_provider(zone)
    body = {"name": "New", "kind": "none", "config_json": {}}
    changed = api.patch(path(zone, f"/{provider.id}"), body)
    assert changed.status_code == 200
    assert changed.json()["name"] == "New"
    assert changed.json() == api.get(path(zone, f"/{provider.id}")).json()


def test_a_provider_in_use_stays(api: Api, zone: Zone) -> None:
    provider = make_provider(zone)
    resource = make_resource(zone, credential_provider_id=provider.id)
    mine = path(zone, f"/{provider.id}")
    assert refusal(api.delete(mine)) == (409, "provider_in_use")
    api.delete(f"/v1/zones/{zone.id}/resources/{resource.id}")
    assert api.delete(mine).status_code == 204
    assert refusal(api.delete(mine)) == (404, "provider_not_found")


def test_another_zone_s_provider_is_not_there(api: Api, zone: Zone) -> None:
    elsewhere = make_provider(make_zone())
    for answer in (
        api.get(path(zone, f"/{elsewhere.id}")),
        api.patch(path(zone, f"/{elsewhere.id}"), {"name": "x"}),
        api.delete(path(zone, f"/{elsewhere.id}")),
        api.post(path(zone, f"/{elsewhere.id}/test")),
    ):
        assert refusal(answer) == (404, "provider_not_found")


def test_there_is_nothing_to_test_without_a_credential(api: Api, zone: Zone) -> None:
    provider = make_provider(zone)
    answer = api.post(path(zone, f"/{provider.id}/test"))
    assert answer.status_code == 200
    assert answer.json().keys() == {"status", "detail", "checked_at"}
    assert answer.json()["status"] == "untestable"


def test_tests_are_limited_in_each_zone(api: Api, zone: Zone) -> None:
    provider = make_provider(zone)
    mine = path(zone, f"/{provider.id}/test")
    answers = [api.post(mine) for _ in range(21)]
    limited = [answer for answer in answers if answer.status_code == 429]
    assert refusal(limited[0]) == (429, "provider_test_rate_limited")
    assert int(limited[0]["Retry-After"]) >= 1


def test_a_provider_kept_from_elsewhere_is_still_read(api: Api, zone: Zone) -> None:
    provider = Provider.objects.create(
        zone=zone, name="k", identifier="provider://k", kind="api_key"
    )
    assert api.get(path(zone, f"/{provider.id}")).json()["kind"] == "api_key"
