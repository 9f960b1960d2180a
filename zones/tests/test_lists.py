"""Lists of the Management API: pages, cursors and filters."""

from __future__ import annotations

import re
from typing import Any

import pytest

from caracal_site.ids import new_id
from caracal_site.testing.api import Api, refusal
from zones.models import Application, Zone
from zones.tests.factories import (
    make_application,
    make_dynamic,
    make_provider,
    make_resource,
)


def walk(api: Api, path: str) -> list[dict[str, Any]]:
    """Every row of a list, page by page."""
    found = []
    while path:
        answer = api.get(path)
        assert answer.status_code == 200, answer.content
        found += answer.json()
        link = re.match(r'<(.+)>; rel="next"\Z', answer.headers.get("Link", ""))
        path = link[1] if link else ""
    return found


@pytest.fixture
def many(zone: Zone) -> list[str]:
    """Applications made in one statement, so in one microsecond; newest first."""
    made = Application.objects.bulk_create(
        Application(zone=zone, name=f"app {n}", secret_digest=bytes(32))
        for n in range(10)
    )
    times = Application.objects.in_zone(zone.id).values_list("created_at", flat=True)
    assert len(set(times)) == 1
    return sorted((application.id for application in made), reverse=True)


@pytest.mark.parametrize("limit", [1, 3, 5, 10, 11])
def test_pages_lose_nothing_inside_one_microsecond(
    api: Api, zone: Zone, many: list[str], limit: int
) -> None:
    rows = walk(api, f"/v1/zones/{zone.id}/applications?limit={limit}")
    assert [row["id"] for row in rows] == many


def test_a_full_last_page_promises_nothing(
    api: Api, zone: Zone, many: list[str]
) -> None:
    path = f"/v1/zones/{zone.id}/applications"
    assert "Link" not in api.get(f"{path}?limit=10").headers
    assert "Link" in api.get(f"{path}?limit=9").headers


def test_what_comes_meanwhile_disturbs_no_page(
    api: Api, zone: Zone, many: list[str]
) -> None:
    path = f"/v1/zones/{zone.id}/applications"
    first = api.get(f"{path}?limit=5")
    link = re.match(r"<(.+)>", first["Link"])
    assert link
    make_application(zone)
    rest = api.get(link[1]).json()
    assert [row["id"] for row in first.json() + rest] == many


def test_a_cursor_is_for_its_list_and_filters(
    api: Api, zone: Zone, many: list[str]
) -> None:
    path = f"/v1/zones/{zone.id}/applications"
    cursor = re.search(r"cursor=([^&>]+)", api.get(f"{path}?limit=5")["Link"])
    assert cursor
    for other in (f"{path}?name=app&", f"/v1/zones/{zone.id}/resources?"):
        answer = api.get(f"{other}cursor={cursor[1]}")
        assert refusal(answer) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "invalid_query"),
        ("limit=501", "invalid_query"),
        ("limit=1.5", "invalid_query"),
        ("limit=", "invalid_query"),
        ("limit=1&limit=2", "invalid_query"),
        ("limit=²", "invalid_query"),
        ("colour=1", "invalid_query"),
        ("name=", "invalid_query"),
        ("name=a%00b", "invalid_query"),
        ("registration_method=odd", "invalid_query"),
        ("cursor=", "invalid_query"),
        ("cursor=nope", "invalid_cursor"),
        ("cursor=%21%21", "invalid_cursor"),
        ("cursor=e30", "invalid_cursor"),
        ("cursor=eyJ0cyI6Im5vIiwiaWQiOiJ4In0", "invalid_cursor"),
        ("cursor=" + "x" * 600, "invalid_cursor"),
    ],
)
def test_a_bad_query_is_refused(api: Api, zone: Zone, query: str, code: str) -> None:
    answer = api.get(f"/v1/zones/{zone.id}/applications?{query}")
    assert refusal(answer) == (400, code)


def test_lists_can_be_narrowed(api: Api, zone: Zone) -> None:
    path = f"/v1/zones/{zone.id}"
    application = make_application(zone, name="Billing_100%").application
    make_application(zone, name="other")
    dynamic = make_dynamic(zone)
    provider = make_provider(zone, name="Vault")
    resource = make_resource(
        zone, credential_provider_id=provider.id, gateway_application_id=application.id
    )
    make_resource(zone)
    for query, only in (
        ("applications?name=LLING_1", application),
        ("applications?name=100%25", application),
        ("applications?registration_method=dcr", dynamic),
        ("providers?name=vault", provider),
        ("providers?identifier=provider://vault", provider),
        (f"resources?identifier={resource.identifier}", resource),
        (f"resources?credential_provider_id={provider.id}", resource),
        (f"resources?gateway_application_id={application.id}", resource),
        (f"resources?gateway_application_id={application.id}&limit=1", resource),
    ):
        rows = api.get(f"{path}/{query}").json()
        assert [row["id"] for row in rows] == [only.id], query


def test_zones_are_found_by_name_slug_and_flag(api: Api) -> None:
    from zones.tests.factories import make_zone

    name = new_id()
    zone = make_zone(f"Tenant {name}", dcr_enabled=True)
    for query in (f"name={name.upper()}", f"slug={zone.slug}&dcr_enabled=true"):
        assert [row["id"] for row in api.get(f"/v1/zones?{query}").json()] == [zone.id]
    assert api.get(f"/v1/zones?slug={zone.slug}&dcr_enabled=false").json() == []
    answer = api.get(f"/v1/zones?slug={zone.slug}&dcr_enabled=TRUE")
    assert refusal(answer) == (400, "invalid_query")


def test_head_answers_as_get_without_a_body(
    api: Api, zone: Zone, many: list[str]
) -> None:
    path = f"/v1/zones/{zone.id}/applications?limit=5"
    head, get = api.head(path), api.get(path)
    assert head.status_code == 200
    assert head["Link"] == get["Link"]
    assert head.content == b""
