"""Grants and connected accounts in the console."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client

from caracal_site.console.tests import asking
from caracal_site.ids import new_id
from caracal_site.testing.endpoint import Endpoint
from caracal_site.testing.world import READ, World
from policies.grants import services
from policies.grants.models import Grant, OAuthState, ProviderGrant
from policies.tests.granting import AuthorizationServer, account, make_connectable
from tokens.tests.factories import make_session
from zones.models import Zone
from zones.tests.factories import ACTOR, make_application, make_resource

LINK = re.compile(r'class="secret"[^>]*value="([^"]+)"')


@pytest.fixture
def person() -> User:
    return User.objects.create_superuser(new_id(), password=new_id())


@pytest.fixture
def console(person: User) -> Client:
    """A browser in which ``person`` is signed in."""
    client = Client()
    client.force_login(person)
    return client


@pytest.fixture
def actor_id(person: User) -> str:
    return f"console:{person.pk}"


def test_a_grant_is_recorded_and_revoked(
    console: Client,
    world: World,
    actor_id: str,
) -> None:
    page = f"{asking.url(Grant, 'add')}?zone={world.zone.pk}"
    sent = {
        "user_id": "ada",
        "application": world.application.id,
        "resource": world.resource.pk,
        "scopes": f"{READ}\n",
        "expires_at": "",
    }
    bad = asking.carry_out(console, page, **{**sent, "scopes": "Not Granted"})
    assert "cannot be granted" in asking.text(bad)
    exceeding = asking.carry_out(console, page, **{**sent, "scopes": "other"})
    assert "has not all of these scopes" in asking.text(exceeding)
    assert asking.carry_out(console, page, **sent).status_code == 302
    grant = Grant.objects.get(zone=world.zone)
    session = make_session(world.application, session_type="user")
    type(session).objects.filter(id=session.id).update(subject_id="ada")
    for row in (world.application.application, world.resource):
        shown = asking.text(console.get(asking.change(row)))
        assert "Grants in force" in shown
        assert "ada \N{RIGHTWARDS ARROW}" in shown
    revoke = asking.gesture(grant, "revoke")
    assert "Authority sessions revoked" in asking.text(console.get(revoke))
    assert asking.carry_out(console, revoke, reason="left").status_code == 302
    grant.refresh_from_db()
    session.refresh_from_db()
    assert (grant.status, session.status) == ("revoked", "revoked")
    left = asking.last_audit(actor_id)
    assert (left.entity_id, left.payload_json["reason"]) == (grant.id, "left")
    assert "not possible here any more" in asking.text(console.get(revoke, follow=True))


def test_lists_show_what_is_in_force(console: Client, zone: Zone) -> None:
    given = {
        "application_id": make_application(zone).application.id,
        "resource_id": make_resource(zone).id,
        "scopes": ["read"],
    }
    names = ["standing-user", "ended-user"]
    standing, ended = (
        services.create_grant(zone_id=zone.id, actor=ACTOR, user_id=name, **given)
        for name in names
    )
    services.revoke_grant(ended.id, zone_id=zone.id, actor=ACTOR, reason="x")
    page = f"{asking.changelist(Grant)}?zone={zone.id}"
    shown = asking.text(console.get(page))
    assert [name in shown for name in names] == [True, False]
    shown = asking.text(console.get(f"{page}&state=all"))
    assert [name in shown for name in names] == [True, True]
    shown = asking.text(console.get(f"{page}&state=all&q=ended-u"))
    assert [name in shown for name in names] == [False, True]
    assert standing.id in console.get(page).content.decode()


def test_a_link_to_connect_an_account_is_shown_once_and_works(
    console: Client,
    zone: Zone,
    endpoint: Endpoint,
) -> None:
    server = AuthorizationServer(endpoint)
    _provider, resource = make_connectable(zone, endpoint)
    page = f"{asking.url(ProviderGrant, 'add')}?zone={zone.pk}"
    assert make_resource(zone, name="plain").name not in asking.text(console.get(page))
    sent = {
        **asking.hidden(console.get(page)),
        "user_id": "ada",
        "resource": resource.pk,
        "scopes": "read",
    }
    answer = console.post(page, sent)
    assert answer.status_code == 200, answer
    assert "no-store" in answer["Cache-Control"], asking.text(answer)
    link = urlsplit(LINK.search(answer.content.decode())[1])
    assert "open it anew" in asking.text(console.post(page, sent))
    assert OAuthState.objects.filter(zone=zone).count() == 1
    browser, here = Client(), f"{link.path}?{link.query}"
    assert browser.get(here).status_code == 200
    state, code = server.sign_in(browser.post(here)["Location"])
    back = link.path.replace("/start", "/callback")
    assert browser.get(f"{back}?state={state}&code={code}").status_code == 201
    grant = ProviderGrant.objects.get(zone=zone)
    shown = asking.text(console.get(asking.change(grant)))
    assert "calendar" in shown
    for secret in (*server.issued, *server.refresh_tokens):
        assert secret not in shown
    again = asking.carry_out(console, asking.gesture(grant, "reconnect"))
    assert LINK.search(again.content.decode())
    done = asking.carry_out(console, asking.gesture(grant, "disconnect"), reason="left")
    assert done.status_code == 302
    grant.refresh_from_db()
    assert (grant.status, grant.sealed_tokens) == ("revoked", None)


def test_the_end_of_a_provider_tells_of_its_accounts(
    console: Client,
    zone: Zone,
) -> None:
    provider, resource = make_connectable(zone)
    given = account(provider, resource, scopes=["read"], access_token="t")
    services.store_provider_grant(zone_id=zone.id, actor=ACTOR, **given)
    assert "Connected accounts" in asking.text(console.get(asking.change(provider)))
    other, _resource = make_connectable(zone)
    type(resource).objects.filter(id=resource.id).update(credential_provider=other)
    page = asking.gesture(provider, "archive")
    assert "Accounts disconnected" in asking.text(console.get(page))
    assert asking.carry_out(console, page, reason="x").status_code == 302
    assert not ProviderGrant.objects.in_zone(zone.id).active().exists()
