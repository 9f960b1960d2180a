"""The Management API in the browser of a person who is signed in to the console."""

from __future__ import annotations

import re
from functools import cache
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.client import ClientHandler
from django.test.utils import CaptureQueriesContext

from audit.models import AdminAuditEvent
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, refusal
from caracal_site.tests.test_documentation import BROWSER, INLINE_SCRIPT, LINKED
from zones import services
from zones.models import Application, Provider, Zone
from zones.tests.factories import (
    ACTOR,
    make_application,
    make_provider,
    make_resource,
)

INLINE_STYLE = re.compile(r"<style|\sstyle\s*=", re.IGNORECASE)
# Data, which no browser runs.
DATA = re.compile(r'<script type="application/json".*?</script>', re.DOTALL)
TOKEN = re.compile(r'"csrfToken": "(\w+)"')
AS_PROGRAM = {"accept": "application/json"}


@cache
def deployment() -> ClientHandler:
    """One for all, because loading the middleware reads every static file. It is
    strict about forged requests."""
    return ClientHandler(enforce_csrf_checks=True)


def browser(person: User | None) -> Client:
    """A browser, with ``person`` signed in to the console."""
    client = Client(headers={"accept": BROWSER}, HTTP_HOST="localhost")
    client.handler = deployment()
    if person is not None:
        client.force_login(person)
    return client


def somebody(*permissions: str, **fields: Any) -> User:
    """A member of staff with these permissions, named as ``view_zone``."""
    person = User.objects.create_user(new_id(), **{"is_staff": True, **fields})
    granted = Permission.objects.filter(codename__in=permissions)
    person.user_permissions.set(granted)
    assert granted.count() == len(permissions)
    return person


@pytest.fixture
def superuser() -> User:
    return User.objects.create_superuser(new_id(), password=new_id())


@pytest.fixture
def page(superuser: User) -> Client:
    return browser(superuser)


def shown(answer: Any) -> str:
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    return unescape(answer.content.decode())


def sent(
    client: Client, method: str, path: str, body: Any = None, **headers: str
) -> Any:
    """What a form of the page at ``path`` sends."""
    found = TOKEN.search(client.get(path).content.decode())
    assert found
    return client.generic(
        method,
        path,
        b"" if body is None else body,
        content_type="application/json",
        headers={"X-CSRFToken": found[1], "accept": "text/html; q=1.0, */*", **headers},
    )


def paths_of(zone: Zone) -> list[str]:
    resource = make_resource(zone)
    here = f"/v1/zones/{zone.id}"
    application = f"{here}/applications/{make_application(zone).application.id}"
    return [
        "/v1/zones", "/v1/admin-tokens", "/v1/policy-templates", "/v1/nope", here,
        f"{here}/overview", f"{here}/applications", application,
        f"{application}/used-by", f"{application}/rotate-secret",
        f"{here}/applications/dcr", f"{here}/providers", f"{here}/resources",
        f"{here}/resources/{resource.id}", f"{here}/audit", f"{here}/admin-audit",
        f"{here}/delegations", f"{here}/invocations", f"{here}/agent-services",
        f"{here}/agent-sessions", f"{here}/sessions", f"{here}/audit/by-request/r",
        f"{here}/providers?kind=odd", f"{here}/applications/no one",
    ]  # fmt: skip


def test_every_answer_is_a_page_that_keeps_to_the_policy(
    page: Client, zone: Zone
) -> None:
    for path in paths_of(zone):
        for client in (page, browser(None)):
            answer = client.get(path)
            html = answer.content.decode()
            assert "Caracal" in shown(answer), path
            assert "script-src 'self'" in answer["Content-Security-Policy"]
            assert not INLINE_SCRIPT.search(DATA.sub("", html)), path
            assert not INLINE_STYLE.search(html), path
            assert answer["Cache-Control"] == "no-store"
            assert answer["Referrer-Policy"] == "same-origin"


def test_everything_a_page_needs_comes_from_this_server(page: Client) -> None:
    html = page.get("/v1/zones").content.decode()
    assets = [found for found in LINKED.findall(html) if found.startswith("/static/")]
    assert len(assets) >= 10
    for asset in assets:
        answer = page.get(asset)
        assert answer.status_code == 200, asset
        assert b"".join(answer), asset
    others = re.findall(r'(?:src|href)="(?:https?:)?//[^"]+', html)
    assert others == []


def test_a_page_shows_what_programs_get(page: Client, api: Api, zone: Zone) -> None:
    path = f"/v1/zones/{zone.id}"
    html = shown(page.get(path))
    assert "HTTP 200 OK" in html
    assert "<h1>Zone</h1>" in html
    assert "Get a zone. One zone." in html
    assert f'"slug": "{zone.slug}"' in html
    assert 'ETag:</b> <span class="lit">"1"' in html
    assert "ETag" not in page.get(path)
    assert page.get(path, headers=AS_PROGRAM).json() == api.get(path).json()


def test_pages_lead_to_what_is_below_them(page: Client, zone: Zone) -> None:
    here = f"/v1/zones/{zone.id}"
    assert f'<a href="{here}">' in shown(page.get(f"/v1/zones?slug={zone.slug}"))
    html = shown(page.get(here))
    for below in ("applications", "providers", "resources", "audit", "overview"):
        assert f'<a href="{here}/{below}">' in html
    for _ in range(2):
        make_provider(zone)
    html = shown(page.get(f"{here}/providers?limit=1&ordering=name"))
    following = re.search(r'rel="next" href="([^"]+)"', html)
    assert following
    assert "Next page" not in shown(page.get(following[1]))


def test_programs_get_json_whatever_else_they_send(
    api: Api, zone: Zone, superuser: User
) -> None:
    path = f"/v1/zones/{zone.id}"
    for accept in ("*/*", "text/html", BROWSER, "application/xml", ""):
        answer = api.get(path, accept=accept)
        assert answer["Content-Type"] == "application/json; charset=utf-8"
    for accept in ("*/*", "application/json", "application/xml"):
        anonymous = Api(None).get(path, accept=accept)
        assert refusal(anonymous) == (401, "invalid_admin_token")
    # A token decides alone, wherever it is sent from.
    client = browser(superuser)
    answer = client.get(path, headers={"authorization": "Bearer nope"})
    assert refusal(answer) == (401, "invalid_admin_token")


def test_who_is_not_signed_in_is_led_to_where_one_does(zone: Zone) -> None:
    path = f"/v1/zones/{zone.id}/providers?kind=none"
    answer = browser(None).get(path)
    assert answer.status_code == 401
    html = shown(answer)
    assert "invalid_admin_token" in html
    login = re.search(r'href="(/admin/login/[^"]+)"', html)
    assert login
    assert "/v1/zones/" in login[1]
    assert "textarea" not in html
    assert "Log out" not in html


def test_who_signs_in_comes_back_and_can_sign_out(zone: Zone) -> None:
    password = new_id()
    person = User.objects.create_superuser(new_id(), password=password)
    client = browser(None)
    path = f"/v1/zones/{zone.id}"
    login = f"/admin/login/?next={path}"
    form = client.get(login).content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
    assert token
    answer = client.post(
        login,
        {
            "username": person.username,
            "password": password,
            "next": path,
            "csrfmiddlewaretoken": token[1],
        },
    )
    assert (answer.status_code, answer["Location"]) == (302, path)
    html = client.get(path).content.decode()
    assert person.username in html
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', html)
    assert token
    client.post("/admin/logout/", {"csrfmiddlewaretoken": token[1]})
    assert client.get(path).status_code == 401


def test_a_page_s_forms_change_things_in_the_person_s_name(
    page: Client, superuser: User, zone: Zone
) -> None:
    here = f"/v1/zones/{zone.id}"
    made = sent(page, "POST", f"{here}/providers", b'{"name": "Vault", "kind": "none"}')
    assert made.status_code == 201
    provider = Provider.objects.in_zone(zone.id).get()
    assert provider.id in shown(made)
    path = f"{here}/providers/{provider.id}"
    assert sent(page, "PATCH", path, b'{"name": "Safe"}').status_code == 200
    stale = sent(page, "PATCH", path, b'{"name": "x"}', **{"If-Match": '"1"'})
    assert stale.status_code == 412
    assert "precondition_failed" in shown(stale)
    assert sent(page, "DELETE", f"{path}").status_code == 200
    provider.refresh_from_db()
    assert provider.name == "Safe"
    assert provider.archived_at is not None
    rows = AdminAuditEvent.objects.in_zone(zone.id).filter(entity_id=provider.id)
    assert {row.actor_name for row in rows} == {superuser.username}
    assert sorted(row.status_code for row in rows) == [200, 201, 204, 412]


def test_forms_begin_with_what_is_there_or_needed(page: Client, zone: Zone) -> None:
    application = make_application(zone, traits=["team:a"]).application
    here = f"/v1/zones/{zone.id}/applications"
    html = shown(page.get(f"{here}/{application.id}"))
    assert f'"name": "{application.name}"' in html.split("<textarea")[1]
    assert '"team:a"' in html.split("<textarea")[1]
    assert "May also have: client_secret." in html
    html = shown(page.get(here)).split("<textarea")[1]
    assert '"registration_method": "managed"' in html
    assert "May also have: traits." in html


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_a_forged_request_is_refused(superuser: User, zone: Zone, method: str) -> None:
    application = make_application(zone).application
    path = f"/v1/zones/{zone.id}/applications/{application.id}"
    path = f"{path}/rotate-secret" if method == "POST" else path
    client = browser(superuser)
    client.get(path)
    for headers in ({}, {"X-CSRFToken": "x" * 64}, {"X-CSRFToken": ""}):
        answer = client.generic(
            method,
            path,
            b'{"name": "forged"}',
            content_type="application/json",
            headers={**AS_PROGRAM, **headers},
        )
        assert refusal(answer) == (403, "csrf_failed")
    refused = client.generic(method, path, b"{}", content_type="application/json")
    assert refused.status_code == 403
    assert "csrf_failed" in shown(refused)
    unchanged = Application.objects.get(id=application.id)
    assert unchanged.version == application.version


def test_a_dry_run_is_offered_before_an_end(page: Client, zone: Zone) -> None:
    application = make_application(zone).application
    path = f"/v1/zones/{zone.id}/applications/{application.id}"
    assert f'action="{path}?dry_run=true"' in shown(page.get(path))
    found = TOKEN.search(page.get(path).content.decode())
    assert found
    answer = page.delete(f"{path}?dry_run=true", headers={"X-CSRFToken": found[1]})
    assert '"dry_run": true' in shown(answer)
    assert Application.objects.live().filter(id=application.id).exists()


# What a person may do.


def test_people_may_do_here_what_they_may_in_the_console(zone: Zone) -> None:
    application = make_application(zone).application
    here = f"/v1/zones/{zone.id}"
    path = f"{here}/applications/{application.id}"
    looker = browser(somebody("view_application"))
    assert looker.get(path, headers=AS_PROGRAM).status_code == 200
    assert looker.get(f"{path}/used-by", headers=AS_PROGRAM).status_code == 200
    assert "textarea" not in shown(looker.get(path))
    assert "DELETE</button>" not in shown(looker.get(path))
    for other in (here, "/v1/zones", f"{here}/providers", "/v1/admin-tokens",
                  f"{here}/audit", f"{here}/admin-audit", f"{here}/delegations",
                  f"{here}/invocations", f"{here}/agent-services", f"{here}/overview",
                  f"{here}/agent-sessions", f"{here}/sessions",
                  f"{here}/providers?format=csv"):  # fmt: skip
        answer = looker.get(other, headers=AS_PROGRAM)
        assert refusal(answer) == (403, "forbidden"), other
    for method, end in (("PATCH", ""), ("DELETE", ""), ("POST", "/rotate-secret")):
        answer = sent(looker, method, path + end, b'{"name": "x"}', **AS_PROGRAM)
        assert refusal(answer) == (403, "forbidden")
    changer = browser(somebody("change_application"))
    assert sent(changer, "PATCH", path, b'{"name": "x"}').status_code == 200
    body = b'{"name": "y", "registration_method": "managed"}'
    refused = sent(changer, "POST", f"{here}/applications", body, **AS_PROGRAM)
    assert refusal(refused) == (403, "forbidden")
    adder = browser(somebody("add_application", "view_application"))
    assert sent(adder, "POST", f"{here}/applications", body).status_code == 201


@pytest.mark.parametrize("fields", [{"is_staff": False}, {"is_active": False}])
def test_who_may_not_enter_the_console_is_nobody_here(
    zone: Zone, fields: dict[str, bool]
) -> None:
    person = somebody("view_zone", **fields)
    answer = browser(person).get(f"/v1/zones/{zone.id}", headers=AS_PROGRAM)
    assert refusal(answer) == (401, "invalid_admin_token")


def test_a_refused_attempt_of_a_person_is_recorded(zone: Zone) -> None:
    person = somebody("view_zone")
    sent(browser(person), "PATCH", f"/v1/zones/{zone.id}", b'{"name": "x"}')
    row = AdminAuditEvent.objects.filter(actor_name=person.username).get()
    assert (row.status_code, row.payload_json["error"]) == (403, "forbidden")


def test_people_are_limited_as_tokens_are(
    page: Client, zone: Zone, settings: Any
) -> None:
    path = f"/v1/zones/{zone.id}"
    assert page.get(path).status_code == 200
    settings.API_V1_RATE_LIMIT_PER_MIN = 2
    assert [page.get(path).status_code for _ in range(3)][-1] == 429


def test_every_route_of_people_says_which_model_it_is_about() -> None:
    from caracal_site.tests.test_listings import lists

    undeclared = [
        path
        for path, view in views_of_the_api()
        if not (view.model or view.open_to_zones)
    ]
    assert undeclared == []
    assert list(lists())


def views_of_the_api() -> list[tuple[str, Any]]:
    from django.conf import settings as configured
    from django.urls import get_resolver

    from caracal_site.tests.test_permissions import leaves

    found = leaves(get_resolver(configured.ROOT_URLCONF).url_patterns, "/")
    return [
        (path, pattern.callback.cls)
        for path, pattern in found
        if hasattr(pattern.callback, "cls")
        and not (pattern.name or "").startswith("unknown")
    ]


def test_a_page_asks_the_database_no_more_than_its_answer(
    page: Client, zone: Zone
) -> None:
    path = f"/v1/zones/{zone.id}/providers"
    page.get(path)

    def cost(**headers: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert page.get(path, headers=headers).status_code == 200
        return len(captured)

    assert cost(accept=BROWSER) == cost(**AS_PROGRAM)


def test_services_know_the_person_as_the_console_does(
    page: Client, superuser: User, zone: Zone
) -> None:
    body = b'{"name": "a", "scope": "global"}'
    answer = sent(page, "POST", "/v1/admin-tokens", body, **AS_PROGRAM)
    assert answer.json()["created_by"] == f"admin:console:{superuser.pk}"
    services.revoke_admin_token(answer.json()["id"], actor=ACTOR, reason="r")
