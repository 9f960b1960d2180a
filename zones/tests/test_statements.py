"""How many statements each route costs. A changed figure is a decision, not an
accident: BEGIN, COMMIT and savepoints count."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from caracal_site.ids import new_id
from caracal_site.testing.api import Api
from zones.models import Zone
from zones.tests.factories import (
    make_application,
    make_provider,
    make_resource,
    resource_fields,
)

KNOWN = {
    "list zones": 2,
    "get zone": 1,
    "zone overview": 2,
    "create zone": 14,
    "change zone": 7,
    "list applications": 2,
    "get application": 2,
    "create application": 6,
    "change application": 8,
    "rotate secret": 8,
    "list providers": 2,
    "create provider": 10,
    "list resources": 2,
    "get resource": 2,
    "create resource": 15,
    "change resource": 9,
    "delete resource": 13,
}


def cost(api: Api, method: str, path: str, body: Any = None) -> int:
    with CaptureQueriesContext(connection) as captured:
        answer = api.request(method, path, body)
    assert answer.status_code < 300, answer.content
    return len(captured)


@pytest.fixture
def costs(api: Api, zone: Zone) -> dict[str, int]:
    """Every route once, with a token whose use is noted already."""
    api.get("/v1/zones?limit=1")
    mine = f"/v1/zones/{zone.id}"
    application = make_application(zone).application
    provider = make_provider(zone)
    resource = make_resource(
        zone, credential_provider_id=provider.id, gateway_application_id=application.id
    )
    given = dict(resource_fields(zone))
    routes: dict[str, tuple[Any, ...]] = {
        "list zones": ("GET", "/v1/zones?limit=5"),
        "get zone": ("GET", mine),
        "zone overview": ("GET", f"{mine}/overview"),
        "create zone": ("POST", "/v1/zones", {"name": new_id()}),
        "change zone": ("PATCH", mine, {"name": "y"}),
        "list applications": ("GET", f"{mine}/applications"),
        "get application": ("GET", f"{mine}/applications/{application.id}"),
        "create application": (
            "POST",
            f"{mine}/applications",
            {"name": "x", "registration_method": "managed"},
        ),
        "change application": (
            "PATCH",
            f"{mine}/applications/{application.id}",
            {"name": "y"},
        ),
        "rotate secret": (
            "POST",
            f"{mine}/applications/{application.id}/rotate-secret",
        ),
        "list providers": ("GET", f"{mine}/providers"),
        "create provider": ("POST", f"{mine}/providers", {"name": "x", "kind": "none"}),
        "list resources": ("GET", f"{mine}/resources"),
        "get resource": ("GET", f"{mine}/resources/{resource.id}"),
        "create resource": ("POST", f"{mine}/resources", given),
        "change resource": ("PATCH", f"{mine}/resources/{resource.id}", {"name": "y"}),
        "delete resource": ("DELETE", f"{mine}/resources/{resource.id}"),
    }
    return {name: cost(api, *route) for name, route in routes.items()}


def test_every_route_costs_what_it_is_known_to_cost(costs: dict[str, int]) -> None:
    assert costs == KNOWN


def test_a_long_list_costs_no_more_than_a_short_one(api: Api, zone: Zone) -> None:
    path = f"/v1/zones/{zone.id}/resources"
    api.get(path)
    few = cost(api, "GET", path)
    for _ in range(5):
        make_resource(zone)
    assert cost(api, "GET", path) == few
