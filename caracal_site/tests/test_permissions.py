"""Every route of both deployments lets in whom the permission table says, and nobody
else, however its address is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from django.conf import settings as configured
from django.urls import URLPattern, URLResolver, get_resolver
from pytest_django import Settings

from caracal_site.actors import Actor
from caracal_site.coordinator.urls import ROUTES, urlpatterns
from caracal_site.ids import new_id
from caracal_site.testing.api import Api
from caracal_site.testing.client import Coordinator
from caracal_site.testing.world import World
from caracal_site.tests import permissions
from caracal_site.tests.permissions import ApiCaller, ApiGuard, Caller, Guard
from zones import services
from zones.models import Zone

METRICS_BEARER = "metrics-bearer-of-the-permission-table"
# The codes that refuse a caller as such, before anything is looked up.
REFUSED_CALLERS = {
    (401, "invalid_admin_token"),
    (401, "unauthorized"),
    (401, "missing_token"),
    (401, "invalid_token"),
    (401, "identity_revoked"),
    (403, "admin_token_read_only"),
    (403, "admin_token_zone_mismatch"),
    (403, "missing_scope"),
    (403, "zone_mismatch"),
    (403, "operator_token_required"),
}
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
NOT_BEHIND_A_TOKEN = ("/admin/",)

ApiTokens = Mapping[ApiCaller, str | None]
Tokens = Mapping[Caller, str | None]


@pytest.fixture
def other_zone(actor: Actor) -> Zone:
    return services.create_zone(new_id(), actor=actor)


@pytest.fixture
def api_tokens(
    zone: Zone, other_zone: Zone, actor: Actor, settings: Settings
) -> ApiTokens:
    """A token of each kind of caller of the Management API."""
    settings.METRICS_BEARER = METRICS_BEARER

    def minted(capability: str, zone_id: str | None = None) -> str:
        scope = "zone" if zone_id else "global"
        return services.mint_admin_token(
            "table", actor=actor, scope=scope, capability=capability, zone_id=zone_id
        ).plain

    return {
        ApiCaller.ANONYMOUS: None,
        ApiCaller.STRANGER: "cat_" + "x" * 43,
        ApiCaller.SCRAPER: METRICS_BEARER,
        ApiCaller.FOREIGN: minted("write", other_zone.id),
        ApiCaller.ZONE_READER: minted("read", zone.id),
        ApiCaller.READER: minted("read"),
        ApiCaller.ZONE: minted("write", zone.id),
        ApiCaller.GLOBAL: minted("write"),
    }


@pytest.fixture
def tokens(
    world: World, other_zone: Zone, coordinator: Coordinator, settings: Settings
) -> Tokens:
    """A token of each kind of caller of the coordinator."""
    settings.METRICS_BEARER = METRICS_BEARER
    settings.EVENT_WAIT_MAX_SECONDS = 0
    return {
        Caller.ANONYMOUS: None,
        Caller.STRANGER: "not-a-token",
        Caller.SCRAPER: METRICS_BEARER,
        Caller.UNSCOPED: world.token(scope="documents:read"),
        Caller.FOREIGN: World(other_zone, coordinator).token(),
        Caller.SESSION: world.token(),
        Caller.OPERATOR: configured.CARACAL_COORDINATOR_TOKEN,
    }


def filled(path: str, zone: Zone) -> str:
    """``path`` in the zone, with the id of nothing for everything else."""
    return re.sub(r"\{\w+\}", new_id(), path.replace("{zone_id}", zone.id))


def caller_refused(response: Any) -> int | None:
    """The status with which the caller was refused, or None when it was let in."""
    status = int(response.status_code)
    assert status < 500 or status == 503, response.content
    if status not in (401, 403):
        return None
    return status if (status, response.json()["error"]) in REFUSED_CALLERS else None


@pytest.mark.parametrize(
    ("method", "path", "guard"), permissions.API, ids=lambda part: str(part)
)
def test_the_management_api_lets_in_whom_the_table_says(
    method: str, path: str, guard: ApiGuard, zone: Zone, api_tokens: ApiTokens
) -> None:
    here = filled(path, zone)
    expected = {
        caller: permissions.API_REFUSALS[guard].get(caller, permissions.IN)
        for caller in ApiCaller
    }
    answered = {
        caller: caller_refused(Api(api_tokens[caller]).request(method, here))
        for caller in ApiCaller
    }
    assert answered == expected


@pytest.mark.parametrize(
    ("method", "path", "guard"), permissions.COORDINATOR, ids=lambda part: str(part)
)
def test_the_coordinator_lets_in_whom_the_table_says(
    method: str,
    path: str,
    guard: Guard,
    zone: Zone,
    coordinator: Coordinator,
    tokens: Tokens,
) -> None:
    here = filled(path, zone)
    expected = {
        caller: permissions.REFUSALS[guard].get(caller, permissions.IN)
        for caller in Caller
    }
    answered = {
        caller: caller_refused(coordinator.request(method, here, token=tokens[caller]))
        for caller in Caller
    }
    assert answered == expected


def routes_of_the_api() -> Iterator[tuple[str, str]]:
    """(method, path) of every route of the API deployment behind no console login."""
    for path, pattern in leaves(
        get_resolver(configured.ROOT_URLCONF).url_patterns, "/"
    ):
        if path.startswith(NOT_BEHIND_A_TOKEN) or (pattern.name or "").startswith(
            "unknown"
        ):
            continue
        # DRF adds "head" to what a route declares with its first request.
        for method in getattr(pattern.callback, "actions", {"get": ""}).keys() - {
            "head"
        }:
            yield method.upper(), path


def leaves(
    patterns: list[URLPattern | URLResolver], prefix: str
) -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        path = prefix + PARAMETER.sub(r"{\1}", str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from leaves(pattern.url_patterns, path)
        else:
            yield path, pattern


def assert_same_routes(
    table: Sequence[tuple[str, str, Any]], served: Iterable[tuple[str, str]]
) -> None:
    rows, routes = [(method, path) for method, path, _ in table], set(served)
    assert len(rows) == len(set(rows))
    assert {"missing": routes - set(rows), "stale": set(rows) - routes} == {
        "missing": set(),
        "stale": set(),
    }


def test_the_table_has_every_route_of_the_management_api_and_no_other() -> None:
    assert_same_routes(permissions.API, routes_of_the_api())


def test_the_table_has_every_route_of_the_coordinator_and_no_other() -> None:
    served = ((route.method, route.path) for route in ROUTES)
    assert_same_routes(permissions.COORDINATOR, served)
    assert len(urlpatterns) == len({route.path for route in ROUTES})


def spellings(path: str) -> Iterator[str]:
    """Other ways to write an address, which a careless guard could miss."""
    first = path.split("/")[1]
    written = [
        path.replace(first, "".join(f"%{ord(letter):02x}" for letter in first), 1),
        path.replace(first, f"%{ord(first[0]):02X}{first[1:]}", 1),
        re.sub(r"/([a-z])", lambda found: f"/%{ord(found[1]):02x}", path),
        path.replace(first, first.upper(), 1),
        f"/{path}",
        f"/.{path}",
        f"/nothing/..{path}",
        f"/docs/%2e%2e{path}",
        f"{path}/",
        f"{path}%00",
        f"{path}%0a",
        f"{path};a=b",
        f"{path}%3fa=b",
        f"{path}.json",
    ]
    # With a host, so that no client takes the beginning of the path for one.
    yield from (f"http://testserver{each}" for each in written)


GUARDED_API = [row for row in permissions.API if row[2] is not ApiGuard.PUBLIC]
GUARDED = [row for row in permissions.COORDINATOR if row[2] is not Guard.PUBLIC]


@pytest.mark.parametrize(("method", "path", "guard"), GUARDED_API, ids=str)
def test_no_spelling_of_an_address_opens_the_management_api(
    method: str, path: str, guard: ApiGuard, zone: Zone, api_tokens: ApiTokens
) -> None:
    foreign = Api(api_tokens[ApiCaller.FOREIGN])
    for spelling in spellings(filled(path, zone)):
        assert Api(None).request(method, spelling).status_code in (401, 404), spelling
        if guard is not ApiGuard.COMMON:
            answered = foreign.request(method, spelling).status_code
            assert answered in (401, 403, 404), spelling


@pytest.mark.parametrize(("method", "path", "guard"), GUARDED, ids=str)
def test_no_spelling_of_an_address_opens_the_coordinator(
    method: str,
    path: str,
    guard: Guard,
    zone: Zone,
    tokens: Tokens,
    coordinator: Coordinator,
) -> None:
    for spelling in spellings(filled(path, zone)):
        response = coordinator.request(method, spelling)
        assert response.status_code in (401, 404), spelling
        if "{zone_id}" in path:
            foreign = tokens[Caller.FOREIGN]
            response = coordinator.request(method, spelling, token=foreign)
            assert response.status_code in (401, 403, 404), spelling


def test_no_page_of_the_console_opens_without_a_login(api: Api) -> None:
    console = [
        (path, pattern)
        for path, pattern in leaves(
            get_resolver(configured.ROOT_URLCONF).url_patterns, "/"
        )
        if path.startswith("/admin/") and "(" not in path
    ]
    assert console
    for path, pattern in console:
        if pattern.name in ("login", "logout", "jsi18n"):
            continue
        response = api.get(re.sub(r"\{\w+\}", "1", path))
        assert response.status_code in (302, 403), path
        if response.status_code == 302:
            assert response.headers["Location"].startswith(configured.LOGIN_URL), path
