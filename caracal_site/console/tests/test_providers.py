"""Providers at the console: a form for each kind, and secrets that stay unseen."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from caracal_site.console.tests import asking
from caracal_site.testing.endpoint import Endpoint
from zones import services
from zones.models import Provider, ProviderKind, Zone
from zones.services.provider_secrets import opened
from zones.tests.factories import ACTOR

SECRET = "typed-in-once-0123456789"
KEY = "-----BEGIN PRIVATE KEY-----\r\nabc\r\n-----END PRIVATE KEY-----"
TOKEN = "https://idp.example.com/token"
CC = "oauth2_client_credentials"


def adding(zone: Zone, kind: str) -> str:
    return f"{asking.url(Provider, 'add')}?zone={zone.pk}&kind={kind}"


def make(zone: Zone, kind: str = "api_key", **config: Any) -> Provider:
    given = config or {"header_name": "X-Key", "api_key": SECRET}
    return services.create_provider(
        kind, name="Key", zone_id=zone.pk, actor=ACTOR, config_json=given
    )


def test_a_provider_is_added_after_choosing_its_kind(
    console: Client, zone: Zone
) -> None:
    page = console.get(f"{asking.url(Provider, 'add')}?zone={zone.pk}")
    for kind in ProviderKind.values:
        assert f"kind={kind}" in asking.text(page)
        shown = asking.text(console.get(adding(zone, kind)))
        assert ("api_key" in shown) == (kind == "api_key")
        assert not asking.INLINE.search(shown)


@pytest.mark.parametrize(
    ("kind", "typed", "config", "secrets"),
    [
        ("caracal_mandate", {}, {}, {}),
        (
            "api_key",
            {"header_name": "X-Key", "api_key": SECRET, "auth_location": "header"},
            {"header_name": "X-Key", "auth_location": "header"},
            {"api_key": SECRET},
        ),
        (
            "bearer_token",
            {
                "bearer_token": f" {SECRET}",
                "allowed_token_hosts": "API.example.com\n\nb.example.com ",
                "allow_runtime_injection": "on",
            },
            {
                "allowed_token_hosts": ["api.example.com", "b.example.com"],
                "allow_runtime_injection": True,
            },
            {"bearer_token": f" {SECRET}"},
        ),
        (
            CC,
            {
                "token_endpoint": TOKEN,
                "client_id": "c",
                "client_auth_method": "private_key_jwt",
                "private_key": KEY,
                "token_params": "a = 1\nb=x=y\n",
                "scopes": "one\ntwo",
            },
            {
                "token_endpoint": TOKEN,
                "client_id": "c",
                "client_auth_method": "private_key_jwt",
                "token_params": {"a": "1", "b": "x=y"},
                "scopes": ["one", "two"],
                "allowed_token_hosts": ["idp.example.com"],
            },
            {"private_key": KEY.replace("\r\n", "\n")},
        ),
        (
            "oauth2_authorization_code",
            {
                "token_endpoint": TOKEN,
                "authorization_endpoint": "https://idp.example.com/auth",
                "redirect_uri": "app://back",
                "client_id": "c",
                "client_auth_method": "none",
            },
            {
                "token_endpoint": TOKEN,
                "authorization_endpoint": "https://idp.example.com/auth",
                "redirect_uri": "app://back",
                "client_id": "c",
                "client_auth_method": "none",
                "allowed_token_hosts": ["idp.example.com"],
            },
            {},
        ),
    ],
)
def test_each_kind_has_its_form(
    console: Client, zone: Zone, kind: str, typed: Any, config: Any, secrets: Any
) -> None:
    sent = asking.carry_out(console, adding(zone, kind), name="Vault", **typed)
    assert sent.status_code == 302, asking.text(sent)
    provider = Provider.objects.get(zone=zone)
    assert (provider.kind, provider.config_json) == (kind, config)
    assert opened(provider) == secrets
    page = console.get(asking.change(provider))
    unchanged = console.post(asking.change(provider), asking.fields(console, provider))
    assert unchanged.status_code == 302
    assert Provider.objects.get(zone=zone).updated_at == provider.updated_at
    for secret in secrets.values():
        assert secret.strip() not in asking.text(page)


def test_a_refused_form_is_shown_again_at_its_fields_and_without_the_secret(
    console: Client, zone: Zone
) -> None:
    typed = {"header_name": "X Y", "api_key": SECRET, "auth_location": "header"}
    shown = asking.carry_out(console, adding(zone, "api_key"), name="x", **typed)
    assert shown.status_code == 200
    form = shown.context["adminform"].form
    assert form.errors == {"header_name": ["Must be an HTTP header name."]}
    assert SECRET not in asking.text(shown)
    typed = {
        "token_endpoint": TOKEN,
        "client_id": "c",
        "client_auth_method": "client_secret_basic",
        "private_key": KEY,
    }
    shown = asking.carry_out(console, adding(zone, CC), name="x", **typed)
    errors = shown.context["adminform"].form.errors
    assert errors.keys() == {"client_secret", "private_key"}
    assert "BEGIN PRIVATE KEY" not in asking.text(shown)
    shown = asking.carry_out(console, adding(zone, CC), name="x", token_params="a")
    assert "token_params" in shown.context["adminform"].form.errors
    assert not Provider.objects.filter(zone=zone).exists()


def test_an_empty_secret_keeps_the_present_one(console: Client, zone: Zone) -> None:
    provider = make(zone)
    page = asking.text(console.get(asking.change(provider)))
    assert "Leave empty to keep the present one." in page
    sent = {**asking.fields(console, provider), "header_name": "X-New"}
    assert console.post(asking.change(provider), sent).status_code == 302
    provider.refresh_from_db()
    assert provider.config_json["header_name"] == "X-New"
    assert opened(provider) == {"api_key": SECRET}
    sent = {**asking.fields(console, provider), "api_key": "another"}
    assert console.post(asking.change(provider), sent).status_code == 302
    provider.refresh_from_db()
    assert opened(provider) == {"api_key": "another"}


def test_only_the_name_is_written_when_only_the_name_was_changed(
    console: Client, zone: Zone
) -> None:
    provider = make(zone)
    sent = {**asking.fields(console, provider), "name": "Renamed", "identifier": ""}
    assert console.post(asking.change(provider), sent).status_code == 302
    before, provider = provider, Provider.objects.get(pk=provider.pk)
    assert (provider.name, provider.identifier) == ("Renamed", before.identifier)
    assert provider.sealed_secrets == before.sealed_secrets


def test_a_provider_becomes_another_kind(console: Client, zone: Zone) -> None:
    provider = make(zone)
    page = f"{asking.change(provider)}?kind=bearer_token"
    shown = console.get(page)
    assert "secrets are replaced" in asking.text(shown)
    assert asking.hidden(shown)["kind"] == "bearer_token"
    refused = asking.carry_out(console, page, name="Key")
    assert refused.context["adminform"].form.errors == {
        "bearer_token": ["Is required."]
    }
    sent = asking.carry_out(console, page, name="Key", bearer_token="b")
    assert sent.status_code == 302
    provider.refresh_from_db()
    assert (provider.kind, opened(provider)) == ("bearer_token", {"bearer_token": "b"})
    page = f"{asking.change(provider)}?kind=none"
    assert asking.carry_out(console, page, name="Key").status_code == 302
    provider.refresh_from_db()
    assert (provider.kind, opened(provider)) == ("none", {})


def test_a_kind_nobody_knows_changes_nothing(console: Client, zone: Zone) -> None:
    provider = make(zone)
    sent = {**asking.fields(console, provider), "kind": "odd", "name": "Renamed"}
    assert console.post(asking.change(provider), sent).status_code == 302
    provider.refresh_from_db()
    assert (provider.kind, provider.name) == ("api_key", "Renamed")
    assert console.get(adding(zone, "odd")).status_code == 200


def test_a_moved_endpoint_takes_its_host_along(console: Client, zone: Zone) -> None:
    config = {"token_endpoint": TOKEN, "client_id": "c", "client_secret": SECRET}
    provider = make(zone, CC, **config)
    moved = "https://new.example.com/token"
    sent = {**asking.fields(console, provider), "token_endpoint": moved}
    assert console.post(asking.change(provider), sent).status_code == 302
    provider.refresh_from_db()
    assert provider.config_json["allowed_token_hosts"] == ["new.example.com"]
    sent = {
        **asking.fields(console, provider),
        "allowed_token_hosts": "new.example.com\nb.example.com",
    }
    assert console.post(asking.change(provider), sent).status_code == 302
    sent = {**asking.fields(console, provider), "token_endpoint": TOKEN}
    assert console.post(asking.change(provider), sent).status_code == 302
    provider.refresh_from_db()
    hosts = provider.config_json["allowed_token_hosts"]
    assert hosts == ["new.example.com", "b.example.com"]


def test_a_connection_is_tested_from_its_page(
    console: Client, zone: Zone, endpoint: Endpoint
) -> None:
    config = {
        "token_endpoint": endpoint.url(),
        "client_id": "c",
        "client_secret": SECRET,
    }
    provider = make(zone, CC, **config)
    page = asking.gesture(provider, "test")
    assert page in asking.text(console.get(asking.change(provider)))
    assert asking.carry_out(console, page, confirmed="1").status_code == 302
    shown = asking.text(console.get(asking.change(provider)))
    assert "The connection works. The token endpoint issued a token." in shown
    assert 'class="success"' in shown
    assert "issued-token" not in shown
    history = asking.text(console.get(asking.url(provider, "history", provider.pk)))
    assert "The connection of a provider was tested." in history
    endpoint.status, endpoint.body = 401, {}
    asking.carry_out(console, page, confirmed="1")
    shown = asking.text(console.get(asking.change(provider)))
    assert "Not working: auth_failed." in shown
    assert 'class="warning"' in shown


def test_a_kind_without_an_endpoint_has_nothing_to_test(
    console: Client, zone: Zone
) -> None:
    provider = make(zone)
    page = asking.text(console.get(asking.change(provider)))
    assert asking.gesture(provider, "test") not in page


def test_an_archived_provider_shows_its_configuration(
    console: Client, zone: Zone
) -> None:
    provider = make(zone)
    services.archive_provider(provider.pk, zone_id=zone.pk, actor=ACTOR, reason="over")
    page = asking.text(console.get(asking.change(provider)))
    assert "X-Key" in page
    assert SECRET not in page
    assert "Make it another kind" not in page


def test_providers_are_found_by_kind_and_name(console: Client, zone: Zone) -> None:
    provider = make(zone)
    for query in (
        {"kind__exact": "api_key", "q": provider.identifier},
        {"zone": zone.pk, "q": "key"},
        {"q": provider.pk},
    ):
        shown = asking.text(console.get(asking.changelist(Provider), query))
        assert asking.change(provider) in shown
    others = {"kind__exact": "none", "zone": zone.pk}
    listed = console.get(asking.changelist(Provider), others)
    assert asking.change(provider) not in asking.text(listed)
    sought = console.get(asking.changelist(Provider), {"sealed_secrets__gt": "a"})
    assert sought.status_code == 400
