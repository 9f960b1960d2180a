"""What a web console asserts about the account it calls for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any

import orjson
import pytest

from audit.models import AdminAuditEvent
from caracal_site.actors import Actor, ActorKind
from caracal_site.api.errors import InvalidAccountAssertion, ZoneForbidden
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, made, refusal
from zones import services
from zones.api.assertions import (
    ACCOUNT,
    AUTHORED_BY,
    CREATED_VIA,
    MAX_SECONDS,
    NOTHING,
    OPERATOR,
    Asserted,
    Signed,
    asserted,
    is_author,
)
from zones.models import Zone
from zones.services.configured_tokens import seeds_of
from zones.tests.factories import make_application, make_zone, told

KEY, NOW = "cat_key", 1_900_000_000
REQUEST = Signed(KEY, NOW, "GET", "/v1/zones/z")


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def mac(key: str, message: bytes) -> str:
    return b64(hmac.new(key.encode(), message, hashlib.sha256).digest())


def account(name: str, *, exp: int = NOW + 60, key: str = KEY) -> str:
    signature = mac(key, f"caracal:account:v1:{name}:{exp}".encode())
    return f"v1.{b64(name.encode())}.{exp}.{signature}"


def bound(name: str, method: str, path: str, *, exp: int, key: str) -> str:
    part = b64(name.encode())
    signature = mac(key, f"caracal:account:v2:{part}:{exp}:{method}:{path}".encode())
    return f"v2.{part}.{exp}.{signature}"


def operator(person: Any, *, exp: int = NOW + 60) -> str:
    part = b64(orjson.dumps(person))
    signature = mac(KEY, f"caracal:operator:v1:{part}:{exp}".encode())
    return f"v1.{part}.{exp}.{signature}"


def read(trusts: bool = False, signed: Signed = REQUEST, **headers: str) -> Asserted:
    return asserted(headers, signed, trusts=trusts)


def test_an_account_is_read_as_the_web_console_signs_it() -> None:
    for name in ("acme", "a:b:1900000060", "Zürich", "x" * 256):
        assert read(**{ACCOUNT: account(name)}).account_id == name


def test_without_a_header_nothing_is_asserted() -> None:
    assert read() == read(trusts=True) == NOTHING


def test_an_assertion_may_be_bound_to_one_request() -> None:
    good = bound("acme", "GET", "/v1/zones/z", exp=NOW + 60, key=KEY)
    assert read(**{ACCOUNT: good}).account_id == "acme"
    for method, path in (("DELETE", "/v1/zones/z"), ("GET", "/v1/zones/y")):
        with pytest.raises(InvalidAccountAssertion):
            read(signed=Signed(KEY, NOW, method, path), **{ACCOUNT: good})


@pytest.mark.parametrize(
    "header",
    [
        "",
        "acme",
        "v1",
        account("acme", key="other"),
        account("acme", exp=NOW),
        account("acme", exp=NOW - 1),
        account("acme", exp=NOW + MAX_SECONDS + 1),
        account(""),
        account("x" * 257),
        account("a\0b"),
        account("acme").replace("v1", "v3", 1),
        account("acme").replace("v1", "v2", 1),
        account("acme") + ".x",
        account("acme")[:-4],
        account("acme").replace(b64(b"acme"), b64(b"evil")),
        f"v1.{b64(b'acme')}.x.{b64(b'x')}",
        f"v1.{b64(b'acme')}.-1.{b64(b'x')}",
        f"v1.{b64(b'acme')}.\u0661\u0662.{b64(b'x')}",
        f"v1.!!.{NOW + 60}.!!",
        f"v1.{b64(bytes([255]))}.{NOW + 60}.x",
    ],
    ids=lambda header: header[:24] or "empty",
)
def test_what_does_not_hold_is_refused_and_never_left_out(header: str) -> None:
    for trusts in (True, False):
        with pytest.raises(InvalidAccountAssertion):
            read(trusts, **{ACCOUNT: header})


def test_without_a_configured_token_nothing_can_be_asserted() -> None:
    with pytest.raises(InvalidAccountAssertion):
        read(signed=Signed("", NOW, "GET", "/"), **{ACCOUNT: account("acme", key="")})


PERSON = {"id": "u1", "name": "Ada", "email": "ada@example.com"}


@pytest.mark.parametrize(
    ("person", "author"),
    [
        (PERSON, "Ada"),
        ({**PERSON, "name": " "}, "ada@example.com"),
        ({**PERSON, "name": "", "email": ""}, ""),
    ],
)
def test_the_operator_s_person_is_named(person: Any, author: str) -> None:
    found = read(**{ACCOUNT: account("acme"), OPERATOR: operator(person)})
    assert found == Asserted("acme", author, False)


@pytest.mark.parametrize(
    "header",
    [
        "",
        operator([]),
        operator({"id": "u1"}),
        operator({**PERSON, "name": 1}),
        operator({**PERSON, "name": "x" * 2_000}),
        operator(PERSON, exp=NOW),
        operator(PERSON)[:-3],
        account("acme"),
    ],
)
def test_an_operator_that_does_not_hold_is_refused(header: str) -> None:
    with pytest.raises(InvalidAccountAssertion):
        read(**{ACCOUNT: account("acme"), OPERATOR: header})


def test_an_operator_without_an_account_is_not_read() -> None:
    assert read(**{OPERATOR: "junk"}) == NOTHING


def test_who_made_something_is_named_by_trusted_callers_only() -> None:
    named = {AUTHORED_BY: "Grace H.", CREATED_VIA: "operator"}
    assert read(**named) == NOTHING
    assert read(trusts=True, **named) == Asserted(None, "Grace H.", True)
    signed = {ACCOUNT: account("acme"), OPERATOR: operator(PERSON)}
    assert read(**named, **signed) == Asserted("acme", "Grace H.", True)
    wrong = {AUTHORED_BY: "<b>", CREATED_VIA: "magic"}
    assert read(**wrong, **signed) == Asserted("acme", "Ada", False)


def test_authors_are_words_and_addresses() -> None:
    for good in ("Ada", "José Ñ 2", "a_b+c@d-e.f", "O'Neil", "\u0661", "x" * 256):
        assert is_author(good)
    for bad in ("", "a<b", "a\nb", "x" * 257, "a,b", "\u200b"):
        assert not is_author(bad)


def test_a_name_beyond_ascii_comes_as_its_bytes() -> None:
    sent = "José".encode().decode("latin-1")
    assert read(trusts=True, **{AUTHORED_BY: sent}).author == "José"


# Through the API.


@pytest.fixture
def console(settings: Any) -> Api:
    """The web console, with the token that is derived for it."""
    return Api(seeds_of(settings.CARACAL_ADMIN_TOKEN)[2].plain)


def of(name: str, settings: Any, **given: Any) -> dict[str, str]:
    exp = int(time.time()) + 60
    return {
        "x_caracal_account": account(
            name, exp=exp, key=settings.CARACAL_ADMIN_TOKEN, **given
        )
    }


@pytest.fixture
def mine(console: Api, settings: Any) -> tuple[str, dict[str, str], dict[str, Any]]:
    """An account, the header that asserts it, and a zone it made."""
    name = new_id()
    header = of(name, settings)
    return name, header, made(console.post("/v1/zones", {"name": new_id()}, **header))


def test_an_account_sees_and_changes_its_zones_alone(
    console: Api, mine: Any, zone: Zone, settings: Any
) -> None:
    name, header, own = mine
    assert "owner_account_id" not in own
    assert Zone.objects.get(id=own["id"]).owner_account_id == name
    listed = console.get("/v1/zones", **header).json()
    assert [row["id"] for row in listed] == [own["id"]]
    here = f"/v1/zones/{own['id']}"
    assert console.patch(here, {"name": "x"}, **header).status_code == 200
    application = make_application(zone).application
    for elsewhere in (zone.id, "nope"):
        there = f"/v1/zones/{elsewhere}"
        for answer in (
            console.get(there, **header),
            console.patch(there, {"name": "x"}, **header),
            console.delete(there, **header),
            console.get(f"{there}/applications", **header),
            console.delete(f"{there}/applications/{application.id}", **header),
            console.get(f"/v1/%7Aones/{elsewhere}", **header),
        ):
            assert refusal(answer) == (403, "zone_forbidden")
    of_no_zone = console.get("/v1/admin-audit", **header)
    assert refusal(of_no_zone) == (403, "zone_forbidden")
    stranger = of(new_id(), settings)
    assert refusal(console.get(here, **stranger)) == (403, "zone_forbidden")
    assert console.get("/v1/zones", **stranger).json() == []
    assert console.get(here).status_code == 200


def test_an_account_reads_the_platform_s_zones_but_changes_none(
    console: Api, mine: Any
) -> None:
    _, header, _ = mine
    platform = Actor(
        kind=ActorKind.ADMIN_TOKEN, id="b", name="b", created_by="env-bootstrap"
    )
    reserved = services.create_zone(f"caracal.sys/{new_id()}", actor=platform)
    path = f"/v1/zones/{reserved.id}"
    assert console.get(path, **header).status_code == 200
    answer = console.delete(path, **header)
    assert refusal(answer) == (403, "system_zone_read_only")


def test_an_account_manages_no_admin_tokens(api: Api, mine: Any) -> None:
    _, header, _ = mine
    body = {"name": "x", "scope": "global"}
    for answer in (
        api.get("/v1/admin-tokens", **header),
        api.post("/v1/admin-tokens", body, **header),
    ):
        assert refusal(answer) == (403, "admin_token_management_requires_global")


@pytest.mark.parametrize("broken", ["", "junk", "v1.YQ.1.YQ"])
def test_an_assertion_that_does_not_hold_lets_nobody_in(
    api: Api, zone: Zone, broken: str
) -> None:
    for path in ("/v1/zones", f"/v1/zones/{zone.id}", "/v1/admin-tokens"):
        answer = api.get(path, x_caracal_account=broken)
        assert refusal(answer) == (401, "invalid_account_assertion")


def test_an_assertion_does_not_stand_in_for_a_token(mine: Any) -> None:
    _, header, own = mine
    answer = Api(None).get(f"/v1/zones/{own['id']}", **header)
    assert refusal(answer) == (401, "invalid_admin_token")


def test_the_account_stands_in_the_evidence(console: Api, mine: Any) -> None:
    name, header, own = mine
    console.patch(f"/v1/zones/{own['id']}", {"name": "y"}, **header)
    row = AdminAuditEvent.objects.in_zone(own["id"]).order_by("-position").first()
    assert row is not None
    assert told(row)["account_id"] == name


def test_services_keep_an_account_out_whoever_asks_them() -> None:
    zone, theirs = make_zone(), new_id()
    actor = Actor(
        kind=ActorKind.ADMIN_TOKEN,
        id="t",
        name="t",
        scope="global",
        account_id=theirs,
    )
    with pytest.raises(ZoneForbidden):
        services.create_application("x", zone_id=zone.id, actor=actor)
    with pytest.raises(ZoneForbidden):
        services.change_zone(zone.id, actor=actor, changes={"name": "x"})
    with pytest.raises(ZoneForbidden):
        services.archive_zone(zone.id, actor=actor, reason="r")
