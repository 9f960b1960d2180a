"""The Management API's description of zones, and that nothing sent breaks it."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from hypothesis import given, settings
from hypothesis import strategies as st

from caracal_site.testing.api import Api
from zones.filters import ApplicationFilter
from zones.models import Zone
from zones.tests.factories import make_application, make_provider, make_resource

OURS = ("applications", "providers", "resources", "dcr-status", "overview")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        generated: dict[str, Any] = SchemaGenerator().get_schema(public=True)
    return generated


def operations(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if path in ("/v1/zones", "/v1/zones/{zone_id}")
        or path.startswith("/v1/admin-tokens")
        or (path.startswith("/v1/zones/{zone_id}/") and path.split("/")[4] in OURS)
    ]


def test_every_route_is_described(schema: dict[str, Any]) -> None:
    found = operations(schema)
    assert len(found) == 32
    for path, method, operation in found:
        name = f"{method} {path}"
        assert operation["summary"], name
        assert operation["security"] == [{"adminToken": []}], name
        answers = operation["responses"]
        assert {"401", "403", "429"} <= answers.keys(), name
        for status, answer in answers.items():
            if status.startswith("4"):
                body = answer["content"]["application/json"]["schema"]
                assert body == {"$ref": "#/components/schemas/Error"}, name
        if method == "patch" or (method == "post" and "201" in answers):
            assert "requestBody" in operation, name


def test_nothing_is_described_by_guessing(schema: dict[str, Any]) -> None:
    told = [str(message) for message in GENERATOR_STATS._warn_cache]
    assert not [message for message in told if "/zones/" in message], told


def test_limits_and_filters_are_part_of_the_description(schema: dict[str, Any]) -> None:
    name = schema["components"]["schemas"]["ZoneCreateRequest"]["properties"]["name"]
    assert (name["minLength"], name["maxLength"]) == (1, 120)
    listing = schema["paths"]["/v1/zones/{zone_id}/applications"]["get"]
    names = {parameter["name"] for parameter in listing["parameters"]}
    asked = {"limit", "cursor", "ordering", "format", "fields"}
    assert {"zone_id", *asked, *ApplicationFilter.base_filters} == names
    create = schema["paths"]["/v1/zones"]["post"]
    assert "Idempotency-Key" in {p["name"] for p in create["parameters"]}


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["none", "managed", "global", "read", "\0", "x" * 5000]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)
MEMBERS = st.sampled_from(
    [
        "name",
        "slug",
        "identifier",
        "kind",
        "config_json",
        "scopes",
        "operations",
        "traits",
        "client_secret",
        "expires_in",
        "dcr_enabled",
        "dcr_shutdown",
        "registration_method",
        "upstream_url",
        "scope",
        "zone_id",
        "credential_provider_id",
        "gateway_application_id",
        "operation_enforcement",
        "capability",
    ]
)


@pytest.fixture
def routes(zone: Zone) -> list[tuple[str, str]]:
    mine = f"/v1/zones/{zone.id}"
    application = make_application(zone).application
    return [
        ("POST", "/v1/zones"),
        ("POST", "/v1/admin-tokens"),
        ("PATCH", mine),
        ("POST", f"{mine}/applications"),
        ("POST", f"{mine}/applications/dcr"),
        ("PATCH", f"{mine}/applications/{application.id}"),
        ("POST", f"{mine}/providers"),
        ("PATCH", f"{mine}/providers/{make_provider(zone).id}"),
        ("POST", f"{mine}/resources"),
        ("PATCH", f"{mine}/resources/{make_resource(zone).id}"),
    ]


def test_no_body_whatsoever_breaks_a_route(
    api: Api, routes: list[tuple[str, str]]
) -> None:
    @settings(max_examples=150)
    @given(
        st.sampled_from(routes), st.dictionaries(MEMBERS, VALUES, max_size=6) | VALUES
    )
    def send(route: tuple[str, str], body: Any) -> None:
        method, path = route
        answer = api.request(method, path, body)
        assert answer.status_code < 500, (route, body, answer.content)

    send()


@pytest.mark.parametrize(
    "content",
    [
        b'{"name": 1e400}',
        b'{"name": "x", "expires_in": 100000000000000000000000000000}',
        b'{"name": "\\ud800"}',
        b'{"__proto__": {}}',
        b'{"name": "a", "name": "b", "colour": 1}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
    ],
)
def test_no_text_whatsoever_breaks_a_route(
    api: Api, routes: list[tuple[str, str]], content: bytes
) -> None:
    for method, path in routes:
        for headers in ({}, {"idempotency_key": "k"}, {"idempotency_key": "é"}):
            answer = api.request(method, path, content=content, **headers)
            assert answer.status_code == 400, (path, answer.content)
