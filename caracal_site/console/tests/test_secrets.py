"""Secrets are shown on one page, once, and can be neither listed nor sought."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client

from caracal_site.console.tests import asking
from zones import services
from zones.models import AdminToken, Application, Zone
from zones.tests.factories import make_application

SHOWN = re.compile(r'class="secret" type="text" value="([^"]+)"')


def secret_on(response: HttpResponse) -> str:
    """The secret the page shows; the page must not be kept by anybody."""
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    found = SHOWN.search(response.content.decode())
    assert found is not None, asking.text(response)
    return found[1]


def assert_gone(console: Client, secret: str, *pages: str) -> None:
    """Nothing that outlives the page has the secret."""
    assert secret not in str(dict(console.session.items()))
    assert secret not in str(console.cookies)
    for page in pages:
        assert secret not in console.get(page).content.decode()


def test_a_new_application_shows_its_secret_once(console: Client, zone: Zone) -> None:
    page = f"{asking.url(Application, 'add')}?zone={zone.pk}"
    opened = asking.hidden(console.get(page))
    sent = {**opened, "name": "Reader", "traits": ""}
    secret = secret_on(console.post(page, sent))
    application = Application.objects.get(zone=zone)
    assert services.verify_client_secret(application, secret)
    assert_gone(
        console, secret, asking.change(application), asking.changelist(application)
    )


def test_a_rotated_secret_is_shown_once_and_sending_again_makes_no_other(
    console: Client, zone: Zone
) -> None:
    application = make_application(zone).application
    page = asking.gesture(application, "rotate-secret")
    sent = {**asking.hidden(console.get(page)), "reason": "It is a year old."}
    secret = secret_on(console.post(page, sent))
    application.refresh_from_db()
    assert services.verify_client_secret(application, secret)
    again = console.post(page, sent)
    assert "open it anew for another" in asking.text(again)
    application.refresh_from_db()
    assert services.verify_client_secret(application, secret)
    assert_gone(console, secret, asking.change(application), page)


def token_of(secret: str) -> AdminToken:
    """The token in force that the secret is."""
    caller = services.find_caller(services.token_digest(secret))
    assert caller is not None
    return AdminToken.objects.get(pk=caller.actor.id)


def test_a_minted_token_is_shown_once(console: Client, person: User) -> None:
    page = asking.url(AdminToken, "add")
    sent = {
        **asking.hidden(console.get(page)),
        "name": "ci",
        "scope": "global",
        "capability": "read",
        "lifetime": "3600",
        "reason": "for the build",
    }
    secret = secret_on(console.post(page, sent))
    token = token_of(secret)
    assert token.capability == "read"
    assert token.expires_at - token.created_at == timedelta(hours=1)
    row = asking.last_audit(f"console:{person.pk}")
    assert (row.entity_id, row.payload_json["reason"]) == (token.pk, "for the build")
    assert "open it anew for another" in asking.text(console.post(page, sent))
    assert_gone(console, secret, asking.change(token), asking.changelist(token))


def test_a_token_of_a_zone_names_the_zone(console: Client, zone: Zone) -> None:
    page = asking.url(AdminToken, "add")
    sent = {"name": "ci", "scope": "zone", "capability": "write", "reason": "r"}
    refused = asking.carry_out(console, page, **sent)
    assert "needs a zone" in asking.text(refused)
    secret = secret_on(asking.carry_out(console, page, **sent, zone=zone.pk))
    token = token_of(secret)
    assert token.zone_id == zone.pk


def test_pages_hold_no_digest_and_no_private_key(
    console: Client, rows: dict[str, Any]
) -> None:
    secrets = {
        "zones.application": ["secret_digest"],
        "zones.admintoken": ["digest"],
        "tokens.signingkey": ["sealed_private_key"],
    }
    for label, fields in secrets.items():
        row = rows[label]
        for page in (asking.change(row), asking.changelist(row)):
            content = console.get(page).content
            for field in fields:
                value = bytes(getattr(row, field))
                assert value not in content
                assert value.hex().encode() not in content


def test_bodies_of_receipts_and_calls_are_not_shown(
    console: Client, rows: dict[str, Model]
) -> None:
    receipt = rows["caracal_site.receipt"]
    assert "receipt-body" not in asking.text(console.get(asking.change(receipt)))
    call = rows["agents.invocation"]
    assert "invocation-parameters" not in asking.text(console.get(asking.change(call)))


def test_lists_are_not_filtered_by_secrets(
    console: Client, rows: dict[str, Model]
) -> None:
    for label, lookup in (
        ("zones.application", "secret_digest__startswith"),
        ("zones.admintoken", "digest"),
        ("tokens.signingkey", "sealed_private_key__gt"),
        ("caracal_site.receipt", "body__contains"),
        ("auth.user", "password__startswith"),
        ("agents.agentsession", "application__secret_digest__startswith"),
        ("policies.providergrant", "sealed_tokens__startswith"),
    ):
        response = console.get(asking.changelist(rows[label]), {lookup: "a"})
        assert response.status_code == 400, label
