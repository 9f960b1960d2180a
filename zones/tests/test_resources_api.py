"""Resources on the Management API, their bindings and the control resource."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from caracal_site.testing.api import Api, made, refusal
from zones import services
from zones.models import GatewayBinding, GatewayBindingRevision, Zone
from zones.services.providers import ensure_built_in
from zones.tests.factories import (
    ACTOR,
    make_application,
    make_dynamic,
    make_provider,
    make_resource,
    make_zone,
    resource_fields,
)

MEMBERS = {
    "id",
    "zone_id",
    "name",
    "identifier",
    "upstream_url",
    "scopes",
    "credential_provider_id",
    "gateway_application_id",
    "operations",
    "operation_enforcement",
    "created_at",
    "updated_at",
}
CONTROL = {"identifier": "caracal-control", "scopes": ["control:invoke"]}


def path(zone: Zone, rest: str = "") -> str:
    return f"/v1/zones/{zone.id}/resources{rest}"


def body(zone: Zone, **fields: Any) -> dict[str, Any]:
    return dict(resource_fields(zone, **fields))


def revision(zone: Zone) -> int:
    return GatewayBindingRevision.objects.get(zone=zone).version


def test_a_resource_gets_its_identifier_from_its_name(api: Api, zone: Zone) -> None:
    given = body(zone, name="My Res!")
    first = made(api.post(path(zone), given))
    assert first.keys() == MEMBERS
    assert first["identifier"] == "resource://my-res"
    assert first["operation_enforcement"] == "enforced"
    assert first["gateway_application_id"] == given["gateway_application_id"]
    second = made(api.post(path(zone), given))
    assert second["identifier"] == "resource://my-res-2"
    assert api.get(path(zone)).json() == [second, first]
    assert api.get(path(zone, f"/{first['id']}")).json() == first


def test_a_name_that_is_an_identifier_is_taken_as_one(api: Api, zone: Zone) -> None:
    given = body(zone, name="resource://api")
    assert made(api.post(path(zone), given))["identifier"] == "resource://api"
    taken = api.post(path(zone), given)
    assert refusal(taken) == (409, "resource_identifier_conflict")


def test_an_identifier_is_free_again_after_its_resource(api: Api, zone: Zone) -> None:
    given = body(zone, identifier="https://API.example.com/v1")
    first = made(api.post(path(zone), given))
    assert first["identifier"] == "https://api.example.com/v1"
    again = {**given, "identifier": "https://api.example.com/v1"}
    taken = api.post(path(zone), again)
    assert refusal(taken) == (409, "resource_identifier_conflict")
    assert api.delete(path(zone, f"/{first['id']}")).status_code == 204
    made(api.post(path(zone), again))


OPERATION = {"method": "GET", "path": "/", "scope": "read"}


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"scopes": []}, 400, "invalid_resource"),
        ({"scopes": [f"s{n}" for n in range(65)]}, 400, "invalid_resource"),
        ({"scopes": ["a", "a"]}, 400, "invalid_resource"),
        ({"scopes": ["a b"]}, 400, "invalid_resource"),
        ({"scopes": [" "]}, 400, "invalid_resource"),
        ({"scopes": "read"}, 400, "invalid_resource"),
        ({"name": ""}, 400, "invalid_resource"),
        ({"name": "x" * 201}, 400, "invalid_resource"),
        ({"colour": 1}, 400, "invalid_resource"),
        ({"upstream_url": "ftp://x.example"}, 400, "invalid_resource"),
        ({"upstream_url": "http://[::1"}, 400, "invalid_resource"),
        ({"upstream_url": "https://u:p@x.example"}, 400, "invalid_resource"),
        ({"identifier": "plain"}, 400, "invalid_resource_identifier"),
        ({"identifier": "provider://x"}, 400, "invalid_resource_identifier"),
        ({"identifier": "x:" + "y" * 511}, 400, "invalid_resource"),
        ({"identifier": "caracal-sys://x"}, 409, "reserved_namespace"),
        ({"credential_provider_id": None}, 400, "credential_provider_required"),
        ({"credential_provider_id": "nope"}, 404, "provider_not_found"),
        ({"upstream_url": None}, 400, "upstream_url_required"),
        ({"gateway_application_id": None}, 400, "gateway_application_required"),
        ({"gateway_application_id": ""}, 400, "invalid_resource"),
        ({"gateway_application_id": "nope"}, 404, "gateway_application_not_found"),
        ({"operation_enforcement": "odd"}, 400, "invalid_resource"),
        ({"operations": [{"method": "GET"}]}, 400, "invalid_resource"),
        ({"operations": [{**OPERATION, "k": 1}]}, 400, "invalid_resource"),
        ({"operations": ["x"]}, 400, "invalid_resource"),
        ({"operations": [OPERATION] * 257}, 400, "invalid_resource"),
        (
            {"operations": [{**OPERATION, "path": " "}]},
            400,
            "operation_method_and_path_required",
        ),
        (
            {"operations": [{**OPERATION, "path": "a"}]},
            400,
            "operation_path_must_be_absolute",
        ),
        (
            {"operations": [{**OPERATION, "scope": "admin"}]},
            400,
            "operation_scope_not_in_resource_scopes",
        ),
        ({"operations": [OPERATION, OPERATION]}, 400, "operation_duplicate"),
    ],
)
def test_what_is_no_resource_is_refused(
    api: Api, zone: Zone, fields: Any, status: int, code: str
) -> None:
    answer = api.post(path(zone), {**body(zone), **fields})
    assert refusal(answer) == (status, code)


def test_what_lies_in_another_zone_cannot_be_referred_to(api: Api, zone: Zone) -> None:
    other = make_zone()
    given = body(zone, credential_provider_id=make_provider(other).id)
    assert refusal(api.post(path(zone), given)) == (404, "provider_not_found")
    given = body(zone, gateway_application_id=make_application(other).application.id)
    answer = api.post(path(zone), given)
    assert refusal(answer) == (404, "gateway_application_not_found")
    elsewhere = make_resource(other)
    for answer in (
        api.get(path(zone, f"/{elsewhere.id}")),
        api.patch(path(zone, f"/{elsewhere.id}"), {"name": "x"}),
        api.delete(path(zone, f"/{elsewhere.id}")),
    ):
        assert refusal(answer) == (404, "resource_not_found")


def test_a_self_registered_application_fronts_nothing(api: Api, zone: Zone) -> None:
    given = body(zone, gateway_application_id=make_dynamic(zone).id)
    answer = api.post(path(zone), given)
    assert refusal(answer) == (400, "gateway_exchange_application_must_be_managed")


def test_operations_are_kept_in_one_spelling(api: Api, zone: Zone) -> None:
    operations = [
        {"method": "get", "path": "/a", "scope": "read"},
        {"method": "POST", "path": " /a ", "scope": "write"},
    ]
    resource = made(api.post(path(zone), body(zone, operations=operations)))
    assert [(o["method"], o["path"]) for o in resource["operations"]] == [
        ("GET", "/a"),
        ("POST", "/a"),
    ]
    mine = path(zone, f"/{resource['id']}")
    answer = api.patch(mine, {"scopes": ["read"]})
    assert refusal(answer) == (400, "operation_scope_not_in_resource_scopes")
    assert api.patch(mine, {"operations": []}).json()["operations"] == []
    assert api.patch(mine, {"scopes": ["read"]}).json()["scopes"] == ["read"]


def test_the_number_of_resources_is_limited(
    api: Api, zone: Zone, settings: Any
) -> None:
    settings.API_MAX_RESOURCES_PER_ZONE = 1
    first = make_resource(zone)
    answer = api.post(path(zone), body(zone))
    assert refusal(answer) == (409, "resource_quota_exceeded")
    api.delete(path(zone, f"/{first.id}"))
    made(api.post(path(zone), body(zone)))


class TestChanges:
    @pytest.mark.parametrize(
        ("changes", "status", "code"),
        [
            ({}, 400, "no_fields"),
            ({"nmae": "x"}, 400, "invalid_resource"),
            ({"name": None}, 400, "invalid_resource"),
            ({"credential_provider_id": None}, 400, "credential_provider_required"),
            ({"credential_provider_id": "nope"}, 404, "provider_not_found"),
            ({"upstream_url": None}, 400, "upstream_url_required"),
            ({"gateway_application_id": None}, 400, "gateway_application_required"),
            ({"identifier": "plain"}, 400, "invalid_resource_identifier"),
            ({"identifier": "caracal-control"}, 409, "protected_resource"),
            ({"identifier": "caracal-sys://x"}, 409, "reserved_namespace"),
        ],
    )
    def test_that_are_bad_are_refused(
        self, api: Api, zone: Zone, changes: Any, status: int, code: str
    ) -> None:
        resource = make_resource(zone)
        answer = api.patch(path(zone, f"/{resource.id}"), changes)
        assert refusal(answer) == (status, code)

    def test_to_a_taken_identifier_are_refused(self, api: Api, zone: Zone) -> None:
        one, other = make_resource(zone), make_resource(zone)
        answer = api.patch(path(zone, f"/{one.id}"), {"identifier": other.identifier})
        assert refusal(answer) == (409, "resource_identifier_conflict")

    def test_of_the_identifier_take_the_binding_along(
        self, api: Api, zone: Zone
    ) -> None:
        application = make_application(zone).application
        resource = make_resource(zone, gateway_application_id=application.id)
        mine = path(zone, f"/{resource.id}")
        changed = api.patch(mine, {"identifier": " resource://moved "}).json()
        assert changed["identifier"] == "resource://moved"
        assert changed["gateway_application_id"] == application.id
        other = make_application(zone).application
        both = {"identifier": "resource://again", "gateway_application_id": other.id}
        assert api.patch(mine, both).json()["gateway_application_id"] == other.id
        bound = GatewayBinding.objects.filter(zone=zone)
        assert list(bound.values_list("resource_identifier", "application_id")) == [
            ("resource://again", other.id)
        ]

    def test_that_gateways_see_are_announced_to_them(
        self, api: Api, zone: Zone
    ) -> None:
        mine = path(zone, f"/{make_resource(zone).id}")
        before = revision(zone)
        api.patch(mine, {"name": "renamed"})
        assert revision(zone) == before
        api.patch(mine, {"upstream_url": "https://other.example.com"})
        assert revision(zone) == before + 1
        api.delete(mine)
        assert revision(zone) == before + 2

    def test_in_one_zone_are_no_news_to_another(self, zone: Zone) -> None:
        other = make_zone()
        before = revision(other)
        make_resource(zone)
        assert revision(other) == before


class TestTheControlResource:
    def test_needs_no_more_than_scopes(self, api: Api, zone: Zone) -> None:
        control = made(api.post(path(zone), CONTROL))
        assert control["credential_provider_id"] == f"provider-none-{zone.id}"
        assert control["gateway_application_id"] is control["upstream_url"] is None
        again = api.post(path(zone), CONTROL)
        assert refusal(again) == (409, "resource_identifier_conflict")

    def test_takes_a_provider_that_is_called_none(self, api: Api, zone: Zone) -> None:
        provider = make_provider(zone, name="none")
        control = made(api.post(path(zone), CONTROL))
        assert control["credential_provider_id"] == provider.id

    def test_gets_its_provider_back(self, api: Api, zone: Zone) -> None:
        control = made(api.post(path(zone), CONTROL))
        change = {"credential_provider_id": make_provider(zone).id}
        assert api.patch(path(zone, f"/{control['id']}"), change).status_code == 200
        built_in = f"/v1/zones/{zone.id}/providers/provider-none-{zone.id}"
        assert api.delete(built_in).status_code == 204
        with transaction.atomic():
            revived = ensure_built_in(zone.id)
        assert api.get(built_in).json()["id"] == revived.id

    def test_stays_what_it_is(self, api: Api, zone: Zone) -> None:
        control = made(api.post(path(zone), CONTROL))
        mine = path(zone, f"/{control['id']}")
        application = make_application(zone).application
        for answer in (
            api.delete(mine),
            api.patch(mine, {"identifier": "resource://x"}),
            api.patch(mine, {"gateway_application_id": application.id}),
            api.post(path(zone), {**CONTROL, "gateway_application_id": application.id}),
        ):
            assert refusal(answer) == (409, "protected_resource")
        assert api.patch(mine, {"scopes": ["control:invoke", "x"]}).status_code == 200

    def test_is_hidden_from_tokens_of_the_zone(self, api: Api, zone: Zone) -> None:
        control = made(api.post(path(zone), CONTROL))
        minted = services.mint_admin_token(
            "t", actor=ACTOR, scope="zone", zone_id=zone.id
        )
        mine = api.as_(minted.plain)
        assert mine.get(path(zone)).json() == []
        item = path(zone, f"/{control['id']}")
        assert refusal(mine.get(item)) == (404, "resource_not_found")
        for answer in (
            mine.patch(item, {"name": "x"}),
            mine.delete(item),
            mine.post(path(zone), CONTROL),
        ):
            assert refusal(answer) == (409, "protected_resource")
