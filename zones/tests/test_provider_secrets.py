"""The secrets of providers: kept, replaced, and never seen again."""

from __future__ import annotations

import logging
from contextlib import suppress
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection
from django.test import Client

from audit.models import AdminAuditEvent
from caracal_site import sealing
from caracal_site.console.tests import asking
from caracal_site.ids import new_id
from caracal_site.models import Receipt
from caracal_site.testing.api import Api, made, refusal
from caracal_site.testing.races import Threads, held
from tokens.keys import private_key
from tokens.models import SigningKey
from zones import services
from zones.models import Provider, Zone
from zones.services.provider_secrets import opened
from zones.tests.factories import ACTOR, make_zone, told

TOKEN = "https://idp.example.com/token"
SECRET = "kept-under-seal-0123456789"


def path(zone: Zone, rest: str = "") -> str:
    return f"/v1/zones/{zone.id}/providers{rest}"


def key(secret: str = SECRET, **more: Any) -> dict[str, Any]:
    return {"header_name": "X-Key", "api_key": secret, **more}


def client(**more: Any) -> dict[str, Any]:
    whole = {"token_endpoint": TOKEN, "client_id": "cid", "client_secret": SECRET}
    return {**whole, **more}


def make(api: Api, zone: Zone, kind: str, config: dict[str, Any]) -> dict[str, Any]:
    body = {"name": new_id(), "kind": kind, "config_json": config}
    return made(api.post(path(zone), body))


def kept(provider: dict[str, Any]) -> dict[str, str]:
    return opened(Provider.objects.get(id=provider["id"]))


def last_told(provider: dict[str, Any]) -> dict[str, Any]:
    rows = AdminAuditEvent.objects.filter(entity_id=provider["id"])
    return told(rows.order_by("-position").first())


def test_a_secret_is_named_and_not_told(api: Api, zone: Zone) -> None:
    provider = make(api, zone, "api_key", key(allow_runtime_injection=True))
    assert provider["secret_config_keys"] == ["api_key"]
    assert provider["config_json"] == {
        "auth_location": "header",
        "header_name": "X-Key",
        "allow_runtime_injection": True,
    }
    assert kept(provider) == {"api_key": SECRET}
    assert api.get(path(zone, f"/{provider['id']}")).json() == provider
    assert api.get(path(zone)).json() == [provider]


def test_a_secret_leaves_no_trace(
    api: Api, zone: Zone, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    console = Client()
    console.force_login(User.objects.create_superuser(new_id(), password=new_id()))
    body = {"name": "x", "kind": "api_key", "config_json": key()}
    answers = [api.post(path(zone), body, idempotency_key=new_id())]
    provider = Provider.objects.get(zone=zone)
    mine = path(zone, f"/{provider.id}")
    answers += [
        api.patch(mine, {"config_json": key(f"{SECRET}-2")}),
        api.patch(mine, {"config_json": key(f"{SECRET}-2", api_key=f"{SECRET}\n")}),
        api.patch(mine, {"kind": "bearer_token", "config_json": key()}),
        *(api.post(f"{mine}/test"), api.get(mine), api.get(path(zone))),
        *(
            console.get(asking.change(provider)),
            console.get(asking.changelist(Provider)),
        ),
        console.get(asking.url(provider, "history", provider.id)),
    ]
    for answer in answers:
        assert SECRET not in answer.content.decode()
    assert SECRET not in caplog.text
    for table in ("providers", "admin_audit_events", "event_outbox", "receipts"):
        assert not rows_with(table, SECRET)
    assert Receipt.objects.filter(route=f"POST {path(zone)}").exists()


def rows_with(table: str, text: str) -> int:
    """How many rows of ``table`` have ``text`` anywhere, as text or as bytes."""
    with connection.cursor() as cursor:
        cursor.execute(
            f'SELECT count(*) FROM "{_table(table)}" AS t'  # noqa: S608
            " WHERE strpos(t::text, %s) > 0 OR strpos(t::text, %s) > 0",
            [text, text.encode().hex()],
        )
        return int(cursor.fetchone()[0])


def _table(name: str) -> str:
    return Receipt._meta.db_table if name == "receipts" else name


def test_a_sealed_secret_opens_in_its_own_row_only(api: Api, zone: Zone) -> None:
    first = make(api, zone, "api_key", key())
    second = make(api, zone, "api_key", key("another"))
    stolen = Provider.objects.get(id=first["id"]).sealed_secrets
    Provider.objects.filter(id=second["id"]).update(sealed_secrets=stolen)
    with pytest.raises(sealing.SealBroken):
        kept(second)
    elsewhere = make_zone()
    moved = Provider.objects.get(id=first["id"])
    moved.zone_id = elsewhere.id
    with pytest.raises(sealing.SealBroken):
        opened(moved)


@pytest.mark.parametrize("whole", [False, True], ids=["provider", "zone"])
def test_an_archived_provider_has_no_secret_any_more(
    api: Api, zone: Zone, whole: bool
) -> None:
    made = make(api, zone, "api_key", key())
    path = f"/v1/zones/{zone.id}" + ("" if whole else f"/providers/{made['id']}")
    assert api.delete(path).status_code == 204
    row = Provider.objects.get(id=made["id"])
    assert row.archived_at is not None
    assert (row.sealed_secrets, row.secret_config_keys) == (None, [])


def test_a_secret_survives_the_replacement_of_the_key(
    api: Api, zone: Zone, settings: Any
) -> None:
    provider = make(api, zone, "api_key", key())
    before = settings.ZONE_KEK
    settings.ZONE_KEK = "ab" * 16 + "cd" * 16
    with pytest.raises(sealing.SealBroken):
        kept(provider)
    settings.ZONE_KEK_PREVIOUS = [before]
    assert kept(provider) == {"api_key": SECRET}


def reseal() -> str:
    """What the command says. It goes on past what other tests have broken."""
    said = StringIO()
    with suppress(CommandError):
        call_command("reseal", stdout=said)
    return said.getvalue()


def test_everything_is_sealed_again_under_a_new_key(
    api: Api, zone: Zone, settings: Any
) -> None:
    provider = make(api, zone, "api_key", key())
    before, after = settings.ZONE_KEK, "ab" * 16 + "cd" * 16
    settings.ZONE_KEK, settings.ZONE_KEK_PREVIOUS = after, [before]
    reseal()
    settings.ZONE_KEK_PREVIOUS = []
    assert kept(provider) == {"api_key": SECRET}
    row = SigningKey.objects.get(zone=zone)
    assert private_key(zone.id, row.id, bytes(row.sealed_private_key))
    assert reseal() == (
        "Resealed 0 signing keys, the secrets of 0 providers and the tokens of 0"
        " accounts.\n"
    )
    settings.ZONE_KEK = before
    with pytest.raises(CommandError, match=provider["id"]):
        call_command("reseal", stdout=StringIO())
    settings.ZONE_KEK_PREVIOUS = [after]
    reseal()
    assert kept(provider) == {"api_key": SECRET}


def test_the_database_keeps_no_secret_without_its_name(api: Api, zone: Zone) -> None:
    provider = make(api, zone, "api_key", key())
    row = Provider.objects.filter(id=provider["id"])
    changes: list[dict[str, Any]] = [
        {"secret_config_keys": []},
        {"sealed_secrets": None},
    ]
    for change in changes:
        with pytest.raises(IntegrityError, match="providers_secrets_named"):
            row.update(**change)


def test_a_new_configuration_keeps_the_secret(api: Api, zone: Zone) -> None:
    provider = make(api, zone, "api_key", key(allow_runtime_injection=True))
    changed = api.patch(
        path(zone, f"/{provider['id']}"), {"config_json": {"header_name": "X-New"}}
    ).json()
    assert changed["config_json"] == {"auth_location": "header", "header_name": "X-New"}
    assert changed["secret_config_keys"] == ["api_key"]
    assert kept(provider) == {"api_key": SECRET}
    assert last_told(provider) == {
        "event": "provider.changed",
        "changed_fields": [
            "config_json",
            "config_json.allow_runtime_injection",
            "config_json.header_name",
        ],
    }


def test_a_new_secret_replaces_the_old_and_is_told_so(api: Api, zone: Zone) -> None:
    provider = make(api, zone, "api_key", key())
    assert last_told(provider)["changed_fields"] == [
        "config_json",
        "config_json.auth_location",
        "config_json.header_name",
        "kind",
        "name",
    ]
    assert "secret_rotated" not in last_told(provider)
    before = Provider.objects.get(id=provider["id"])
    api.patch(path(zone, f"/{provider['id']}"), {"config_json": key("new")})
    assert kept(provider) == {"api_key": "new"}
    assert last_told(provider) == {
        "event": "provider.changed",
        "changed_fields": ["config_json"],
        "secret_rotated": True,
    }
    after = Provider.objects.get(id=provider["id"])
    assert after.secrets_changed_at > before.secrets_changed_at


def test_any_secret_replaces_all_of_them(api: Api, zone: Zone) -> None:
    kind = "oauth2_client_credentials"
    provider = make(api, zone, kind, client())
    mine = path(zone, f"/{provider['id']}")
    public = {"token_endpoint": TOKEN, "client_id": "cid"}
    by_key = {**public, "client_auth_method": "private_key_jwt"}
    assert refusal(api.patch(mine, {"config_json": by_key})) == (
        400,
        "invalid_provider_config",
    )
    changed = api.patch(mine, {"config_json": {**by_key, "private_key": "pem"}})
    assert changed.json()["secret_config_keys"] == ["private_key"]
    assert kept(provider) == {"private_key": "pem"}
    assert refusal(api.patch(mine, {"config_json": public}))[0] == 400
    assert kept(provider) == {"private_key": "pem"}
    back = api.patch(mine, {"config_json": client()}).json()
    assert back["secret_config_keys"] == ["client_secret"]


def test_a_moved_endpoint_moves_the_allowed_host(api: Api, zone: Zone) -> None:
    provider = make(api, zone, "oauth2_client_credentials", client(scopes=["a"]))
    body = {"token_endpoint": "https://idp2.example.com/token", "client_id": "c2"}
    changed = api.patch(path(zone, f"/{provider['id']}"), {"config_json": body}).json()
    assert changed["config_json"] == {
        **body,
        "client_auth_method": "client_secret_basic",
        "allowed_token_hosts": ["idp2.example.com"],
    }
    assert kept(provider) == {"client_secret": SECRET}


def test_with_another_kind_the_secrets_go(api: Api, zone: Zone) -> None:
    provider = make(api, zone, "api_key", key())
    mine = path(zone, f"/{provider['id']}")
    assert refusal(api.patch(mine, {"kind": "none"})) == (
        400,
        "provider_config_required",
    )
    for body in (
        {"kind": "bearer_token", "config_json": {}},
        {"kind": "api_key", "config_json": {"header_name": "X"}},
    ):
        assert refusal(api.patch(mine, body)) == (400, "invalid_provider_config")
    changed = api.patch(mine, {"kind": "none", "config_json": {}}).json()
    assert (changed["kind"], changed["config_json"]) == ("none", {})
    assert changed["secret_config_keys"] == []
    assert Provider.objects.get(id=provider["id"]).sealed_secrets is None
    assert last_told(provider)["secret_rotated"] is True
    again = {"kind": "bearer_token", "config_json": {"bearer_token": "t"}}
    assert api.patch(mine, again).json()["secret_config_keys"] == ["bearer_token"]
    assert kept(provider) == {"bearer_token": "t"}


def test_all_that_is_wrong_with_a_configuration_is_told(api: Api, zone: Zone) -> None:
    body = {"name": "x", "kind": "api_key", "config_json": {"auth_scheme": "1"}}
    answer = api.post(path(zone), body)
    assert refusal(answer) == (400, "invalid_provider_config")
    said = answer.json()
    assert said["message"] == "api_key provider config requires header_name"
    assert [issue["path"] for issue in said["details"]["issues"]] == [
        ["config_json", "header_name"],
        ["config_json", "auth_scheme"],
        ["config_json", "api_key"],
    ]


def test_an_unknown_provider_is_not_there_whatever_is_asked(
    api: Api, zone: Zone
) -> None:
    unknown = path(zone, f"/{new_id()}")
    for body in ({"config_json": key()}, {"kind": "none", "config_json": {}}):
        assert refusal(api.patch(unknown, body)) == (404, "provider_not_found")
    wrong = {"kind": "none", "config_json": {"a": 1}}
    assert refusal(api.patch(unknown, wrong)) == (400, "invalid_provider_config")


def test_two_changes_at_once_leave_one_whole_configuration(zone: Zone) -> None:
    """Kind, configuration and secrets always belong together."""
    provider = services.create_provider(
        "api_key", name="x", zone_id=zone.id, actor=ACTOR, config_json=key()
    )
    changes: list[Any] = [
        {"kind": "bearer_token", "config_json": {"bearer_token": "b"}},
        {"config_json": {"header_name": "X-New"}},
    ]
    with Threads(2) as threads:
        with held(Provider.objects.filter(id=provider.id)) as waiting:
            started = [
                threads.start(
                    services.change_provider,
                    provider.id,
                    zone_id=zone.id,
                    actor=ACTOR,
                    changes=change,
                )
                for change in changes
            ]
            waiting(2)
        for future in started:
            future.exception(60)
    row = Provider.objects.get(id=provider.id)
    assert row.kind == "bearer_token"
    assert row.config_json == {}
    assert opened(row) == {"bearer_token": "b"}
