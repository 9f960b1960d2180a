"""API documents, the pages that show them, and the refusals outside the API's views."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.http.response import HttpResponseBase
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS, reset_generator_stats
from drf_spectacular.validation import validate_schema

from caracal_site import errors
from caracal_site.api import openapi as api_openapi
from caracal_site.coordinator import openapi as coordinator_openapi
from caracal_site.coordinator.urls import ROUTES
from caracal_site.documentation import error_codes
from caracal_site.management.commands.write_schemas import schemas
from caracal_site.testing.client import Coordinator

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
PAGES = ["/docs", "/redoc", "/errors"]
LINKED = re.compile(r"""(?:src|href)="([^"#]+)""")
INLINE_SCRIPT = re.compile(
    r"<script(?![^>]*\bsrc=)|\son\w+=|javascript:", re.IGNORECASE
)

Get = Callable[[str], Any]


@pytest.fixture
def browser() -> Client:
    """A person's browser at the API deployment."""
    return Client(headers={"host": "127.0.0.1", "accept": BROWSER})


@pytest.fixture
def program() -> Client:
    """A program at the API deployment."""
    return Client(headers={"host": "127.0.0.1", "accept": "application/json"})


@pytest.fixture(params=["api", "coordinator"])
def get(
    request: pytest.FixtureRequest, browser: Client, coordinator: Coordinator
) -> Get:
    """GET at one of the two deployments."""
    return browser.get if request.param == "api" else coordinator.get


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


@pytest.mark.parametrize(
    "document", [api_openapi.document, coordinator_openapi.document]
)
def test_documents_are_valid_openapi_3_1(
    document: Callable[[], dict[str, Any]],
) -> None:
    made = document()
    validate_schema(made)
    assert made["openapi"].startswith("3.1")
    assert made["paths"]


@pytest.mark.parametrize(
    "document", [api_openapi.document, coordinator_openapi.document]
)
def test_operations_have_unique_ids_and_all_references_resolve(
    document: Callable[[], dict[str, Any]],
) -> None:
    made = document()
    ids = [operation["operationId"] for operation in operations(made)]
    assert len(ids) == len(set(ids))
    references = set(re.findall(r"'#/components/(\w+)/([^']+)'", str(made)))
    missing = {f"{k}/{n}" for k, n in references if n not in made["components"][k]}
    assert not missing


@pytest.mark.parametrize(
    "document", [api_openapi.document, coordinator_openapi.document]
)
def test_every_operation_says_what_it_does_and_how_it_refuses(
    document: Callable[[], dict[str, Any]],
) -> None:
    for operation in operations(document()):
        where = operation["operationId"]
        assert operation["summary"], where
        assert operation["tags"], where
        if operation["security"]:
            assert {"401", "403"} <= operation["responses"].keys(), where
        for status, response in operation["responses"].items():
            assert "X-Request-ID" in response["headers"], where
            if int(status) >= 400:
                assert errors.PROBLEM_JSON in response["content"], where


def test_the_generator_of_the_management_api_has_nothing_to_warn_of() -> None:
    reset_generator_stats()
    api_openapi.document()
    complaints = [*GENERATOR_STATS._error_cache, *GENERATOR_STATS._warn_cache]
    assert not complaints, "\n".join(complaints)


def test_every_route_of_the_coordinator_is_documented() -> None:
    documented = {
        (path, method.upper())
        for path, methods in coordinator_openapi.document()["paths"].items()
        for method in methods
    }
    assert documented == {
        (route.path, route.method) for route in ROUTES if not route.extra.get("hidden")
    }


def test_every_error_a_route_of_the_coordinator_declares_exists() -> None:
    known = {code for code, _ in error_codes()}
    unknown = {
        (route.name, code)
        for route in ROUTES
        for code in route.errors
        if code not in known
    }
    assert not unknown


@pytest.mark.parametrize("name", ["openapi-api.json", "openapi-coordinator.json"])
def test_committed_documents_are_what_the_code_says(name: str) -> None:
    committed = settings.BASE_DIR / "docs" / name
    assert committed.read_text(encoding="utf-8") == schemas()[name], (
        "Refresh it with: python3 manage.py write_schemas"
    )


def test_openapi_is_served_without_a_token(get: Get) -> None:
    response = get("/openapi.json")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.json()["openapi"].startswith("3.1")


def test_the_management_api_is_served_as_json_and_yaml(program: Client) -> None:
    assert program.get("/docs/json").json() == program.get("/openapi.json").json()
    assert program.get("/docs/yaml").content.startswith(b"openapi: 3.1")


@pytest.mark.parametrize("path", PAGES)
def test_pages_run_no_inline_script_and_allow_none(get: Get, path: str) -> None:
    response = get(path)
    assert response.status_code == 200
    assert not INLINE_SCRIPT.search(response.content.decode())
    policy = policy_of(response)
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == ["'self'"]


@pytest.mark.parametrize("path", PAGES)
def test_everything_a_page_refers_to_is_on_the_same_server(get: Get, path: str) -> None:
    html = get(path).content.decode()
    links = set(LINKED.findall(html))
    assert links
    for link in links:
        assert link.startswith("/")
        linked = get(link)
        assert linked.status_code == 200, link
        if isinstance(linked, HttpResponseBase):
            linked.close()


def test_only_redoc_may_write_styles_and_start_workers(get: Get) -> None:
    assert policy_of(get("/redoc"))["style-src"] == ["'self'", "'unsafe-inline'"]
    assert policy_of(get("/redoc"))["worker-src"] == ["blob:"]
    for path in ("/docs", "/errors"):
        policy = policy_of(get(path))
        assert policy["style-src"] == ["'self'"]
        assert "worker-src" not in policy


def test_the_error_catalogue_has_an_anchor_for_every_code(get: Get) -> None:
    html = get("/errors").content.decode()
    anchors = set(re.findall(r'<dt id="(\w+)"', html))
    assert anchors == {code for code, _ in error_codes()}
    assert {"zone_not_found", "missing_token", "invalid_admin_token"} <= anchors


def test_the_coordinator_serves_no_other_file(coordinator: Coordinator) -> None:
    for path in ("/static/admin/css/base.css", "/static/../manage.py", "/static/"):
        assert coordinator.get(path).status_code == 401


def test_a_person_is_led_on_from_the_root_of_the_api(browser: Client) -> None:
    response = browser.get("/")
    assert response.status_code == 200
    for link in (
        '"/admin/"',
        '"/docs"',
        '"/errors"',
        f'"{settings.COORDINATOR_URL}/docs"',
    ):
        assert link in response.content.decode()


def test_the_root_of_the_api_is_no_route_for_programs(program: Client) -> None:
    response = program.get("/")
    assert response.status_code == 404
    assert_envelope(response, errors.RouteNotFound)


def test_unknown_paths_of_the_api_are_refused_as_json(program: Client) -> None:
    for path in ("/nothing", "/docs/", "/errors/x", "/%2e%2e/etc/passwd", "/health/"):
        response = program.get(path)
        assert response.status_code == 404, path
        assert_envelope(response, errors.RouteNotFound)


def test_a_person_gets_refusals_as_a_page(browser: Client) -> None:
    response = browser.get("/nothing")
    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")
    assert response.headers["X-Request-ID"] in response.content.decode()


def test_refusals_outside_the_api_are_problems_when_asked_for(program: Client) -> None:
    response = program.get("/nothing", headers={"accept": "application/problem+json"})
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["type"] == "/errors#not_found"


def test_wrong_methods_outside_the_api_are_told_what_is_allowed() -> None:
    strict = Client(headers={"host": "127.0.0.1"}, enforce_csrf_checks=True)
    for path in ("/", "/docs", "/openapi.json", "/errors"):
        response = strict.post(path, headers={"accept": "application/json"})
        assert response.status_code == 405
        assert response.headers["Allow"] == "GET, HEAD"
        assert_envelope(response, errors.MethodNotAllowed)


def test_a_foreign_host_is_a_bad_request(program: Client) -> None:
    response = program.get("/errors", headers={"host": "elsewhere.example"})
    assert response.status_code == 400
    assert response.json()["error"] == "bad_request"


def test_a_fault_of_a_view_says_nothing_but_the_request_id(
    program: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise RuntimeError("a secret")

    monkeypatch.setattr("caracal_site.documentation.errors_page", fail)
    program.raise_request_exception = False
    response = program.get("/errors")
    assert response.status_code == 500
    assert "secret" not in response.content.decode()
    assert_envelope(response, errors.InternalError)


def test_head_is_answered_like_get_without_a_body(program: Client) -> None:
    response = program.head("/openapi.json")
    assert response.status_code == 200
    assert not response.content


def policy_of(response: Any) -> dict[str, list[str]]:
    directives = response.headers["Content-Security-Policy"].split("; ")
    return {name: values for name, *values in (each.split() for each in directives)}


def assert_envelope(response: Any, kind: type[errors.CaracalError]) -> None:
    body = response.json()
    assert body["error"] == kind.code
    assert body["error_description"]
    assert body["requestId"] == response.headers["X-Request-ID"]
