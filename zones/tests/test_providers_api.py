"""Providers on the Management API."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import transaction

from caracal_site.ids import new_id
from caracal_site.testing.api import Api, made, refusal
from zones import services
from zones.models import Provider, Zone
from zones.services.providers import ensure_built_in
from zones.tests.factories import ACTOR, make_provider, make_resource, make_zone

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
        ({"name": "x\0", "kind": "none"}, "invalid_provider"),
        ({"name": 1, "kind": "none"}, "invalid_provider"),
        ({"name": "x", "kind": "none", "config_json": [1]}, "invalid_provider"),
        (["x"], "invalid_provider"),
        (
            {"name": "x", "kind": "api_key", "config_json": {"api_key": "k\0"}},
            "invalid_provider",
        ),
    ],
)
def test_what_is_no_provider_is_refused(
    api: Api, zone: Zone, body: Any, code: str
) -> None:
    assert refusal(api.post(path(zone), body)) == (400, code)


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


def test_a_limit_on_tests_ends_with_its_minute(api: Api, zone: Zone) -> None:
    """A counter that outlived its minute would block the zone for good."""
    provider = make_provider(zone)
    for _ in range(12):
        api.post(path(zone, f"/{provider.id}/test"))
    counters = redis.Redis.from_url(settings.REDIS_URL)
    keys = list(counters.scan_iter(f"caracal:rate:provider_test:{zone.id}:*"))
    assert keys
    for key in keys:
        assert 0 < counters.ttl(key) <= 90
        assert int(key.rsplit(b":", 1)[1]) * 60 <= time.time()


def test_a_test_of_an_unknown_zone_counts_for_nobody(api: Api) -> None:
    unknown = new_id()
    answer = api.post(f"/v1/zones/{unknown}/providers/x/test")
    assert refusal(answer) == (404, "zone_not_found")
    counters = redis.Redis.from_url(settings.REDIS_URL)
    assert not list(counters.scan_iter(f"caracal:rate:provider_test:{unknown}:*"))


def test_a_suffix_does_not_lead_into_the_reserved_namespace(
    api: Api, zone: Zone
) -> None:
    body = {"name": "Caracal sys", "kind": "none"}
    assert made(api.post(path(zone), body))["identifier"] == "provider://caracal-sys"
    assert refusal(api.post(path(zone), body)) == (409, "reserved_namespace")


def test_identifiers_are_trimmed(api: Api, zone: Zone) -> None:
    body = {"identifier": " provider://abc\n", "kind": "none"}
    first = made(api.post(path(zone), body))
    assert first["identifier"] == "provider://abc"
    assert refusal(api.post(path(zone), body)) == (409, "provider_identifier_conflict")
    mine = path(zone, f"/{first['id']}")
    changed = api.patch(mine, {"identifier": "\ufeffprovider://abd "}).json()
    assert changed["identifier"] == "provider://abd"


def test_a_token_that_only_reads_tests_nothing(zone: Zone) -> None:
    reader = services.mint_admin_token(
        "r", actor=ACTOR, scope="zone", zone_id=zone.id, capability="read"
    )
    provider = make_provider(zone)
    api = Api(reader.plain)
    for answer in (
        api.post(path(zone), {"name": "x", "kind": "none"}),
        api.patch(path(zone, f"/{provider.id}"), {"name": "x"}),
        api.post(path(zone, f"/{provider.id}/test")),
        api.delete(path(zone, f"/{provider.id}")),
    ):
        assert refusal(answer) == (403, "admin_token_read_only")


def test_a_provider_in_use_says_by_how_many(api: Api, zone: Zone) -> None:
    provider = make_provider(zone)
    for _ in range(2):
        make_resource(zone, credential_provider_id=provider.id)
    assert api.delete(path(zone, f"/{provider.id}")).json()["resources"] == 2


def control_resource(api: Api, zone: Zone) -> dict[str, Any]:
    body = {"identifier": "caracal-control", "scopes": ["control:invoke"]}
    return made(api.post(f"/v1/zones/{zone.id}/resources", body))


def test_the_built_in_provider_stays_what_it_is(api: Api, zone: Zone) -> None:
    built_in = control_resource(api, zone)["credential_provider_id"]
    assert built_in == f"provider-none-{zone.id}"
    mine = path(zone, f"/{built_in}")
    key = {"header_name": "X", "api_key": "k"}
    for body in (
        {"kind": "api_key", "config_json": key},
        {"identifier": "provider://other"},
    ):
        assert refusal(api.patch(mine, body)) == (409, "protected_provider")
    assert api.patch(mine, {"name": "Nothing"}).json()["name"] == "Nothing"
    same = {"kind": "none", "config_json": {}, "identifier": "provider://none"}
    assert api.patch(mine, same).status_code == 200
    assert refusal(api.delete(mine)) == (409, "provider_in_use")


def test_the_built_in_provider_comes_back(api: Api, zone: Zone) -> None:
    """It can go when nothing uses it, and nothing needs another one then."""
    services.create_provider("none", name="none", zone_id=zone.id, actor=ACTOR)
    own = Provider.objects.in_zone(zone.id).get()
    with transaction.atomic():
        assert ensure_built_in(zone.id).id == own.id
    changed = {"kind": "api_key", "config_json": {"header_name": "X", "api_key": "k"}}
    assert api.patch(path(zone, f"/{own.id}"), changed).status_code == 200
    for _ in range(2):
        with transaction.atomic():
            built_in = ensure_built_in(zone.id)
        assert built_in.id == f"provider-none-{zone.id}"
        assert (built_in.kind, built_in.identifier) == ("none", "provider://none-2")
        assert api.delete(path(zone, f"/{built_in.id}")).status_code == 204
    assert control_resource(api, zone)["credential_provider_id"] == built_in.id


def test_a_provider_kept_from_elsewhere_is_still_read(api: Api, zone: Zone) -> None:
    provider = Provider.objects.create(
        zone=zone, name="k", identifier="provider://k", kind="api_key"
    )
    assert api.get(path(zone, f"/{provider.id}")).json()["kind"] == "api_key"
