"""Connecting an account: from an operator's request to the tokens of a person."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.db.models.functions import Now
from django.test import Client

from audit.models import AdminAuditEvent
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, refusal
from caracal_site.testing.endpoint import Endpoint
from caracal_site.testing.races import Threads
from policies.grants import rules, services, tokens
from policies.grants.models import OAuthState, ProviderGrant
from policies.tests.granting import (
    CLIENT,
    AuthorizationServer,
    account,
    make_connectable,
    respond,
)
from zones import services as zones
from zones.models import Provider, Resource, Zone
from zones.tests.factories import ACTOR, make_zone, told

PAGE = {"HTTP_ACCEPT": "text/html,application/xhtml+xml;q=0.9"}


def a_browser(**given: Any) -> Client:
    """One with no cookies yet, at an address of its own."""
    return Client(REMOTE_ADDR=new_id(), **given)


class Flow:
    """A provider, a resource, and somebody who wants to connect an account."""

    def __init__(self, api: Api, zone: Zone, endpoint: Endpoint) -> None:
        self.api, self.zone = api, zone
        self.server = AuthorizationServer(endpoint)
        self.provider, self.resource = make_connectable(zone, endpoint)

    def configure(self, **more: Any) -> None:
        config = {**self.provider.config_json, **more}
        Provider.objects.filter(id=self.provider.id).update(config_json=config)
        self.provider.refresh_from_db()

    def path(self, name: str) -> str:
        return f"/v1/zones/{self.zone.id}/provider-grants/oauth/{name}"

    def begin(self, **more: Any) -> dict[str, Any]:
        body = account(self.provider, self.resource, scopes=["read"], **more)
        answer = self.api.post(self.path("authorize"), body)
        assert answer.status_code == 200, answer.content
        found: dict[str, Any] = answer.json()
        return found

    def open(self, begun: dict[str, Any], browser: Client) -> str:
        """Opens the link, agrees, and returns the address at the provider."""
        where = urlsplit(begun["authorization_url"])
        here = f"{where.path}?{where.query}"
        page = browser.get(here, **PAGE)
        assert page.status_code == 200, page.content
        answer = browser.post(here, **PAGE)
        assert answer.status_code == 303, answer.content
        return str(answer["Location"])

    def come_back(self, browser: Client, **query: Any) -> Any:
        headers = {} if query.pop("as_program", False) else PAGE
        return browser.get(f"{self.path('callback')}?{urlencode(query)}", **headers)

    def connect(self, browser: Client | None = None, **more: Any) -> Any:
        """The whole way; returns the last answer, as a program gets it."""
        browser = browser or a_browser()
        state, code = self.server.sign_in(self.open(self.begin(), browser))
        sent = {"state": state, "code": code, **more}
        return self.come_back(browser, as_program=True, **sent)

    @property
    def grant(self) -> ProviderGrant:
        return ProviderGrant.objects.in_zone(self.zone.id).active().get()

    @property
    def is_connected(self) -> bool:
        return ProviderGrant.objects.in_zone(self.zone.id).active().exists()


@pytest.fixture
def flow(api: Api, zone: Zone, endpoint: Endpoint) -> Flow:
    return Flow(api, zone, endpoint)


def test_an_account_is_connected_from_beginning_to_end(flow: Flow) -> None:
    """W29: by a real server, over TLS, with a verifier it checks."""
    browser = a_browser()
    begun = flow.begin()
    assert begun.keys() == {"authorization_url", "state", "expires_at"}
    page = browser.get(begun["authorization_url"], **PAGE)
    text = page.content.decode()
    for shown in ("ada", flow.provider.name, flow.resource.name, "read"):
        assert shown in text
    there = flow.open(begun, browser)
    asked = dict(parse_qsl(urlsplit(there).query))
    assert asked["audience"] == "x"
    assert asked["scope"] == "calendar"
    assert asked["redirect_uri"] == flow.provider.config_json["redirect_uri"]
    assert asked["client_id"] == CLIENT
    state, code = flow.server.sign_in(there)
    assert state == begun["state"]
    answer = flow.come_back(browser, state=state, code=code)
    assert answer.status_code == 201
    assert "connected" in answer.content.decode()
    grant = flow.grant
    assert tokens.opened(grant).access == flow.server.issued[-1]
    assert (grant.user_id, grant.scopes, grant.is_renewable) == ("ada", ["read"], True)
    assert grant.upstream_scopes == ["calendar"]
    assert grant.expires_at - grant.created_at <= timedelta(seconds=300)
    events = AdminAuditEvent.objects.filter(entity_id=grant.id).order_by("position")
    assert [told(row)["event"] for row in events] == [
        "provider_grant.authorization_started",
        "provider_grant.stored",
    ]
    # Whoever began it answers for it.
    assert len({row.actor_id for row in events}) == 1
    for secret in (code, flow.server.issued[-1], grant.id):
        assert secret not in answer.content.decode()


def test_a_program_is_told_all_but_the_user(flow: Flow) -> None:
    """W36: nothing about the user for a browser nobody knows."""
    answer = flow.connect()
    assert answer.status_code == 201
    body = answer.json()
    assert body["id"] == flow.grant.id
    assert "user_id" not in body
    assert "token" not in answer.content.decode()


def test_a_state_is_good_once(flow: Flow) -> None:
    browser = a_browser()
    state, code = flow.server.sign_in(flow.open(flow.begin(), browser))
    sent = {"state": state, "code": code, "as_program": True}
    assert flow.come_back(browser, **sent).status_code == 201
    again = flow.come_back(browser, **sent)
    assert refusal(again) == (400, "oauth_state_expired")


def test_of_two_that_come_back_at_once_one_is_heard(flow: Flow) -> None:
    browser = a_browser()
    state, code = flow.server.sign_in(flow.open(flow.begin(), browser))
    answer = services.Answer(state=state, code=code)
    proof = services.browser_proof(state)

    def finish() -> str:
        try:
            services.finish_authorization(answer, zone_id=flow.zone.id, proof=proof)
        except services.connecting.errors.OAuthStateExpired as error:
            return error.code
        return "connected"

    with Threads(2) as threads:
        both = [threads.start(finish) for _ in range(2)]
        found = sorted(one.result(20) for one in both)
    assert found == ["connected", "oauth_state_expired"]


def test_another_browser_finishes_nothing_and_uses_nothing_up(flow: Flow) -> None:
    """W30: whoever gets hold of the provider's address has no cookie for it."""
    mine, theirs = a_browser(), a_browser()
    begun = flow.begin()
    there = flow.open(begun, mine)
    state, code = flow.server.sign_in(there)
    sent = {"state": state, "code": code, "as_program": True}
    refused = flow.come_back(theirs, **sent)
    assert refusal(refused) == (400, "oauth_state_mismatch")
    assert "browser" in refused.json()["detail"]
    page = theirs.get(begun["authorization_url"], **PAGE)
    assert page.status_code == 400
    assert "another browser" in page.content.decode()
    assert theirs.post(begun["authorization_url"], **PAGE).status_code == 400
    assert not flow.is_connected
    assert flow.come_back(mine, **sent).status_code == 201


def test_the_browser_of_the_caller_itself_may_finish(flow: Flow) -> None:
    """A console in the browser that calls the API gets the cookie with the answer."""
    browser = a_browser()
    body = account(flow.provider, flow.resource, scopes=["read"])
    begun = browser.post(
        flow.path("authorize"),
        json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {flow.api.token}"},
    )
    cookie = next(iter(begun.cookies.values()))
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert cookie["path"] == flow.path("x").removesuffix("/x")
    assert begun.json()["state"] not in cookie.OutputString()
    state, code = flow.server.sign_in(flow.open(begun.json(), browser))
    answer = flow.come_back(browser, state=state, code=code, as_program=True)
    assert answer.status_code == 201


def test_nobody_is_sent_through_by_a_form_on_another_site(flow: Flow) -> None:
    strict = a_browser(enforce_csrf_checks=True)
    begun = flow.begin()
    forged = strict.post(begun["authorization_url"], **PAGE)
    assert forged.status_code == 403
    page = strict.get(begun["authorization_url"], **PAGE)
    token = page.content.decode().split('name="csrfmiddlewaretoken" value="')[1]
    sent = {"csrfmiddlewaretoken": token.split('"')[0]}
    assert strict.post(begun["authorization_url"], sent, **PAGE).status_code == 303


def test_looking_at_links_uses_nothing_up(flow: Flow) -> None:
    """W31: HEAD and whatever has no cookie."""
    browser = a_browser()
    begun = flow.begin()
    scanner = a_browser()
    for _ in range(2):
        assert scanner.head(begun["authorization_url"]).status_code == 200
        assert scanner.get(begun["authorization_url"]).status_code == 200
    state, code = flow.server.sign_in(flow.open(begun, browser))
    back = f"{flow.path('callback')}?{urlencode({'state': state, 'code': code})}"
    for client in (scanner, browser):
        looked = client.head(back)
        assert (looked.status_code, looked.content) == (200, b"")
    assert scanner.get(back).status_code == 400
    assert not flow.is_connected
    assert browser.get(back).status_code == 201


def test_a_state_is_good_for_ten_minutes(flow: Flow) -> None:
    browser = a_browser()
    begun = flow.begin()
    state, code = flow.server.sign_in(flow.open(begun, browser))
    OAuthState.objects.filter(zone=flow.zone).update(
        expires_at=Now() - timedelta(seconds=1)
    )
    late = flow.come_back(browser, state=state, code=code, as_program=True)
    assert refusal(late) == (400, "oauth_state_expired")
    assert browser.get(begun["authorization_url"], **PAGE).status_code == 400
    services.expire_spent_provider_grants()
    assert not OAuthState.objects.filter(zone=flow.zone).exists()


def test_a_state_is_not_stored_as_it_is(flow: Flow) -> None:
    begun = flow.begin()
    kept = OAuthState.objects.get(zone=flow.zone)
    assert begun["state"].encode() not in bytes(kept.digest)
    assert 599 <= (kept.expires_at - kept.created_at).total_seconds() <= 600


def test_another_zone_uses_no_state_up(flow: Flow) -> None:
    """W36: a mismatched zone in the address."""
    browser = a_browser()
    state, code = flow.server.sign_in(flow.open(flow.begin(), browser))
    sent = urlencode({"state": state, "code": code})
    elsewhere = make_zone()
    for zone_id, code_ in ((elsewhere.id, "oauth_state_mismatch"), ("!", None)):
        there = f"/v1/zones/{zone_id}/provider-grants/oauth/callback?{sent}"
        answer = browser.get(there)
        assert refusal(answer) == (400, code_ or "invalid_params")
    assert browser.get(f"{flow.path('callback')}?{sent}").status_code == 201


@pytest.mark.parametrize(
    "query",
    [
        "",
        "state=short",
        "state=" + "s" * 257,
        "state=" + "s" * 43 + "&state=" + "s" * 43,
        "state=" + "s" * 43 + "&code=",
        "state=" + "s" * 43 + "&code=a&code=b",
        "state=" + "s" * 43 + "&code=a%00b",
        "state=" + "%C3%A9" * 40,
    ],
)
def test_an_answer_that_is_none_is_refused(flow: Flow, query: str) -> None:
    answer = a_browser().get(f"{flow.path('callback')}?{query}")
    assert refusal(answer) == (400, "invalid_oauth_callback")


def test_an_unknown_state_is_over(flow: Flow) -> None:
    answer = flow.come_back(a_browser(), state="s" * 43, code="c", as_program=True)
    assert refusal(answer) == (400, "oauth_state_expired")


def test_a_refusal_of_the_person_is_told(flow: Flow) -> None:
    browser = a_browser()
    state, _code = flow.server.sign_in(flow.open(flow.begin(), browser))
    evil = "<script>alert(1)</script>"
    answer = flow.come_back(
        browser, state=state, error="access_denied", error_description=evil
    )
    assert answer.status_code == 400
    text = answer.content.decode()
    assert evil not in text
    assert "&lt;script&gt;" in text.lower()
    assert "provider_oauth_denied" in text
    begun = flow.begin()
    state, _code = flow.server.sign_in(flow.open(begun, browser))
    told_ = flow.come_back(browser, state=state, error="access_denied", as_program=True)
    assert refusal(told_) == (400, "provider_oauth_denied")
    assert told_.json()["detail"] == "access_denied"
    state, _code = flow.server.sign_in(flow.open(flow.begin(), browser))
    bare = flow.come_back(browser, state=state, as_program=True)
    assert refusal(bare) == (400, "authorization_code_required")


@pytest.mark.parametrize(
    ("configured", "issuer", "is_good"),
    [
        (None, None, True),
        (None, "https://localhost/", True),
        (None, "https://evil.example.com", False),
        (None, "nonsense", False),
        ("https://issuer.example.com/x", "https://issuer.example.com/x", True),
        ("https://issuer.example.com/x", "https://issuer.example.com/", False),
        ("https://issuer.example.com/x", None, True),
    ],
)
def test_the_issuer_is_checked_where_it_is_named(
    flow: Flow, configured: str | None, issuer: str | None, is_good: bool
) -> None:
    if configured:
        flow.configure(issuer=configured)
    answer = flow.connect(**({"iss": issuer} if issuer else {}))
    if is_good:
        assert answer.status_code == 201
    else:
        assert refusal(answer) == (400, "oauth_issuer_mismatch")
    assert flow.is_connected is is_good


def test_what_providers_add_of_their_own_is_ignored(flow: Flow) -> None:
    answer = flow.connect(session_state="x", authuser="0", prompt="consent")
    assert answer.status_code == 201


def test_everything_is_looked_at_again_on_the_way_back(flow: Flow) -> None:
    def refused(change: Any) -> tuple[int, str]:
        browser = a_browser()
        state, code = flow.server.sign_in(flow.open(flow.begin(), browser))
        change()
        return refusal(flow.come_back(browser, state=state, code=code, as_program=True))

    def narrow() -> None:
        Resource.objects.filter(id=flow.resource.id).update(scopes=["write"])

    assert refused(narrow) == (403, "grant_scopes_exceed_resource")
    Resource.objects.filter(id=flow.resource.id).update(scopes=["read", "write"])
    other, _resource = make_connectable(flow.zone)

    def rebind() -> None:
        Resource.objects.filter(id=flow.resource.id).update(credential_provider=other)

    assert refused(rebind) == (400, "provider_resource_mismatch")
    Resource.objects.filter(id=flow.resource.id).update(
        credential_provider=flow.provider
    )

    def archive() -> None:
        zones.archive_zone(flow.zone.id, actor=ACTOR, reason="x")

    assert refused(archive) == (404, "zone_not_found")
    assert not flow.is_connected


@pytest.mark.parametrize(
    ("config", "refused"),
    [
        ({"client_id": ""}, (400, "invalid_provider_config")),
        ({"redirect_uri": ""}, (400, "invalid_provider_config")),
        (
            {"authorization_endpoint": "http://idp.example.com/"},
            (400, "provider_authorization_endpoint_invalid"),
        ),
        (
            {"authorization_endpoint": "https://u@idp.example.com/"},
            (400, "provider_authorization_endpoint_invalid"),
        ),
    ],
)
def test_a_provider_that_cannot_be_gone_to_is_refused_at_once(
    flow: Flow, config: dict[str, Any], refused: tuple[int, str]
) -> None:
    flow.configure(**config)
    body = account(flow.provider, flow.resource, scopes=["read"])
    assert refusal(flow.api.post(flow.path("authorize"), body)) == refused


def test_tokens_are_asked_for_only_where_they_may_be(flow: Flow) -> None:
    flow.configure(allowed_token_hosts=["idp.example.com"])
    answer = flow.connect()
    assert refusal(answer) == (400, "provider_token_endpoint_not_allowed")
    assert flow.server.endpoint.asked == []
    flow.configure(allowed_token_hosts=["localhost"])
    Provider.objects.filter(id=flow.provider.id).update(
        sealed_secrets=None, secret_config_keys=[]
    )
    assert refusal(flow.connect()) == (400, "invalid_provider_config")


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, {"error": "invalid_grant"}, "provider_token_exchange_failed"),
        (500, b"", "provider_token_exchange_failed"),
        (302, b"", "provider_token_exchange_failed"),
        (200, b"x" * 70_000, "provider_token_exchange_failed"),
        (200, b"null", "provider_token_response_invalid"),
        (200, b"<html>", "provider_token_response_invalid"),
        (200, {}, "provider_token_response_invalid"),
        (200, {"access_token": 1}, "provider_token_response_invalid"),
        (200, {"access_token": ""}, "provider_token_response_invalid"),
        (200, {"access_token": "a\nb"}, "provider_token_response_invalid"),
        (
            200,
            {"access_token": "a", "token_type": "mac"},
            "provider_token_response_invalid",
        ),
    ],
)
def test_an_answer_without_a_token_is_refused(
    flow: Flow, status: int, body: Any, code: str
) -> None:
    flow.server.endpoint.answer = lambda handler: respond(handler, status, body)
    assert refusal(flow.connect()) == (502, code)
    assert not flow.is_connected


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        ("300", 300),
        (299.9, 299),
        (2**40, 3600),
        ("1e400", 3600),
        (-5, 3600),
        (True, 3600),
        ([1], 3600),
        ("NaN", 3600),
    ],
)
def test_whatever_the_lifetime_is_the_code_is_not_wasted(
    flow: Flow, expires_in: Any, seconds: int
) -> None:
    """W34: text, fractions, and numbers no column holds."""
    flow.server.expires_in = expires_in
    assert flow.connect().status_code == 201
    grant = flow.grant
    lifetime = (grant.expires_at - grant.created_at).total_seconds()
    assert lifetime == pytest.approx(seconds, abs=1)


def test_what_cannot_be_renewed_lasts_as_the_provider_says(flow: Flow) -> None:
    flow.server.gives_refresh_token, flow.server.expires_in = False, 86_400
    assert flow.connect().status_code == 201
    grant = flow.grant
    lifetime = (grant.expires_at - grant.created_at).total_seconds()
    assert lifetime == pytest.approx(86_400, abs=1)
    flow.server.expires_in = None
    assert flow.connect().status_code == 201
    assert flow.grant.expires_at is None


def id_token(subject: str) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"sub": subject}).encode())
    return f"e30.{claims.decode().rstrip('=')}.x"


@pytest.mark.parametrize(
    ("change", "is_kept"),
    [
        (lambda flow: None, True),
        (lambda flow: flow.server.more.update(id_token=id_token("one")), True),
        (lambda flow: flow.server.more.update(id_token=id_token("two")), False),
        (lambda flow: setattr(flow.server, "scope", "calendar mail"), False),
        (lambda flow: setattr(flow.server, "scope", None), True),
    ],
    ids=["same", "same account", "another account", "other scopes", "unsaid scopes"],
)
def test_reconnecting_keeps_the_refresh_token(
    flow: Flow, change: Any, is_kept: bool
) -> None:
    """W32: unless the account or what it granted is another."""
    flow.server.more = {"id_token": id_token("one")}
    assert flow.connect().status_code == 201
    first = flow.grant
    before = tokens.opened(first).refresh
    flow.server.gives_refresh_token = False
    change(flow)
    assert flow.connect().status_code == 201
    second = flow.grant
    assert (second.id, second.refresh_token_version) == (first.id, 1)
    after = tokens.opened(second)
    assert after.access == flow.server.issued[-1]
    assert after.refresh == (before if is_kept else None)


def test_the_page_is_under_a_strict_policy(flow: Flow) -> None:
    browser = a_browser()
    begun = flow.begin()
    page = browser.get(begun["authorization_url"], **PAGE)
    policy = page["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert f"https://localhost:{flow.server.endpoint.port}" in policy
    assert "unsafe" not in policy
    # Not "no-referrer": browsers would then send no origin with the form.
    assert page["Referrer-Policy"] == "same-origin"
    assert page["Cache-Control"] == "no-store"
    assert page["X-Frame-Options"] == "DENY"
    last = flow.come_back(browser, state="s" * 43, code="c")
    assert last["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in last["Content-Security-Policy"]
    assert last["Cache-Control"] == "no-store"


def test_a_link_leads_where_the_provider_sends_people_back_to(flow: Flow) -> None:
    """The cookie of one host is not sent to another."""
    begun = flow.begin()
    assert begun["authorization_url"].startswith(
        f"https://api.example.com{flow.path('start')}?state="
    )
    flow.configure(redirect_uri="https://console.example.com/back")
    assert flow.begin()["authorization_url"].startswith("http://")


def test_coming_back_is_limited(flow: Flow) -> None:
    browser = a_browser()
    here = f"{flow.path('callback')}?state={'s' * 43}"
    # The minute may turn in between: then there are two windows.
    codes = [browser.get(here).status_code for _ in range(121)]
    assert codes[0] == 400
    assert 429 in codes


@pytest.mark.parametrize(
    ("endpoint_", "params", "wanted"),
    [
        ("https://i.example.com/a", {}, {}),
        ("https://i.example.com/a?state=x&p=1", {}, {"p": "1"}),
        ("https://i.example.com/a", {"prompt": "consent"}, {"prompt": "consent"}),
        ("https://i.example.com/a?scope=x#f", {}, {"scope": "x"}),
    ],
)
def test_parameters_of_the_same_name_are_replaced(
    endpoint_: str, params: dict[str, str], wanted: dict[str, str]
) -> None:
    config = {
        "authorization_endpoint": endpoint_,
        "authorization_params": params,
        "client_id": "c",
        "redirect_uri": "https://r.example.com/",
    }
    url = rules.authorization_url(config, "s" * 43, "v" * 43)
    query = parse_qsl(urlsplit(url).query)
    assert len(query) == len(dict(query))
    assert dict(query).items() >= {**wanted, "state": "s" * 43}.items()
    assert urlsplit(url).fragment == ""
