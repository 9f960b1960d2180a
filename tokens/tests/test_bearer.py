"""Bearer tokens at the coordinator: what is believed, and what that costs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from joserfc.jwk import ECKey

from caracal_site.coordinator.errors import InvalidToken, MissingScope, MissingToken
from caracal_site.errors import RateLimited
from caracal_site.ids import new_id
from tokens import bearer, keys
from tokens.models import SigningKey
from tokens.tests.factories import LIFECYCLE, Client, claims_of, sign
from zones.models import Zone


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def assembled(header: dict[str, Any], claims: dict[str, Any], signature: bytes) -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(b64(part) for part in parts)


def kid_of(zone: Zone) -> str:
    return SigningKey.objects.in_zone(zone.id).signing().get().id


def test_a_good_token_names_its_caller(zone: Zone, client: Client) -> None:
    claims = claims_of(client, sid="s", root_sid="r", scope=f"  a  {LIFECYCLE}  b ")
    actor = bearer.authenticate(sign(zone, claims))
    assert actor.zone_id == zone.id
    assert actor.client_id == actor.id == actor.name == client.id
    assert actor.session_id == "s"
    assert actor.root_session_id == "r"
    assert actor.scopes == {"a", LIFECYCLE, "b"}
    assert actor.scope == f"a {LIFECYCLE} b"
    assert actor.key_id == kid_of(zone)
    assert actor.agent_session_id is actor.delegation_edge_id is None
    assert not actor.is_operator


def test_the_audience_may_be_a_string(zone: Zone, client: Client) -> None:
    issuer = claims_of(client)["iss"]
    assert bearer.authenticate(sign(zone, claims_of(client, aud=issuer)))


def test_a_token_needs_no_session(zone: Zone, client: Client) -> None:
    assert bearer.authenticate(sign(zone, claims_of(client))).session_id is None


@pytest.mark.parametrize("token", ["", "x" * 4097])
def test_no_token_and_a_giant_one_are_missing(token: str) -> None:
    with pytest.raises(MissingToken):
        bearer.authenticate(token)


@pytest.mark.parametrize(
    "token",
    [
        "garbage",
        "aaa.bbb.ccc",
        "..",
        "é.é.é",
        f"{b64(b'{}')}.{b64(b'{}')}.",
        f"{b64(b'[' * 1400)}.{b64(b'[' * 1400)}.x",
        f"{b64(b'null')}.{b64(b'1')}.x",
    ],
)
def test_nonsense_is_invalid(token: str) -> None:
    with pytest.raises(InvalidToken):
        bearer.authenticate(token)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example.com"},
        {"iss": None},
        {"aud": ["https://other.example.com"]},
        {"aud": []},
        {"aud": None},
        {"exp": int(time.time()) - 86_400},
        {"exp": None},
        {"exp": "9999999999"},
        {"iat": None},
        {"iat": int(time.time()) + 86_400},
        {"nbf": int(time.time()) + 86_400},
        {"jti": None},
        {"jti": ""},
        {"sub": None},
        {"sub": ""},
        {"sub": "nul\0"},
        {"zone_id": None},
        {"zone_id": "a b/c"},
        {"use": None},
        {"use": "resource"},
        {"sub_type": None},
        {"sub_type": "robot"},
        {"client_id": None},
        {"client_id": ""},
        {"client_id": 7},
        {"client_id": "nul\0"},
        {"sid": 7},
        {"sid": "a b"},
        {"agent_session_id": ["x"]},
        {"delegation_edge_id": "\0"},
    ],
    # Without values: some are times, and every test process must find the same names.
    ids=lambda changes: "-".join(changes),
)
def test_a_token_that_claims_too_little_or_too_much_is_invalid(
    zone: Zone, client: Client, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidToken):
        bearer.authenticate(sign(zone, claims_of(client, **changes)))


@pytest.mark.parametrize("scope", [None, "", "other:scope", [LIFECYCLE], 7])
def test_a_token_without_the_lifecycle_scope_is_refused_as_such(
    zone: Zone, client: Client, scope: Any
) -> None:
    with pytest.raises(MissingScope):
        bearer.authenticate(sign(zone, claims_of(client, scope=scope)))


def test_the_missing_scope_is_told_before_the_missing_client(
    zone: Zone, client: Client
) -> None:
    claims = claims_of(client, scope="x", client_id=None)
    with pytest.raises(MissingScope):
        bearer.authenticate(sign(zone, claims))


def test_an_unsigned_token_is_invalid(zone: Zone, client: Client) -> None:
    header = {"alg": "none", "typ": "JWT", "kid": kid_of(zone)}
    with pytest.raises(InvalidToken):
        bearer.authenticate(assembled(header, claims_of(client), b""))


def test_a_token_signed_with_the_public_key_as_a_secret_is_invalid(
    zone: Zone, client: Client
) -> None:
    key = SigningKey.objects.in_zone(zone.id).get()
    header = {"alg": "HS256", "typ": "JWT", "kid": key.id}
    body = assembled(header, claims_of(client), b"").rstrip(".")
    public = keys.public_key(key.public_jwk).as_pem(private=False)
    signature = hmac.new(public, body.encode(), hashlib.sha256).digest()
    with pytest.raises(InvalidToken):
        bearer.authenticate(f"{body}.{b64(signature)}")


def test_a_token_of_a_key_the_zone_does_not_have_is_invalid(
    zone: Zone, client: Client
) -> None:
    stranger = ECKey.generate_key("P-256")
    for kid in (kid_of(zone), new_id()):
        with pytest.raises(InvalidToken):
            bearer.authenticate(keys.sign(claims_of(client), kid, stranger))


def test_the_key_of_one_zone_signs_nothing_for_another(
    zone: Zone, client: Client
) -> None:
    with pytest.raises(InvalidToken):
        bearer.authenticate(sign(zone, claims_of(client, zone_id=new_id())))


@pytest.mark.parametrize(
    "extra",
    [{"crit": ["exp"]}, {"jwk": {}}, {"b64": False}, {"jku": "https://x.example"}],
)
def test_a_header_that_changes_the_rules_is_invalid(
    zone: Zone, client: Client, extra: dict[str, Any]
) -> None:
    signature = sign(zone, claims_of(client)).split(".")[2]
    header = {"alg": "ES256", "kid": kid_of(zone), **extra}
    token = assembled(header, claims_of(client), b"").rstrip(".") + f".{signature}"
    with pytest.raises(InvalidToken):
        bearer.authenticate(token)


def test_every_altered_part_makes_a_token_invalid(zone: Zone, client: Client) -> None:
    good = sign(zone, claims_of(client))
    other = sign(zone, claims_of(client, jti="another"))
    head, _, signature = good.split(".")
    with pytest.raises(InvalidToken):
        bearer.authenticate(f"{head}.{other.split('.')[1]}.{signature}")
    with pytest.raises(InvalidToken):
        bearer.authenticate(good[:-8] + "AAAAAAAA")
    with pytest.raises(InvalidToken):
        bearer.authenticate(good.rsplit(".", 1)[0] + ".")


def test_a_token_is_good_for_a_minute_after_its_end(zone: Zone, client: Client) -> None:
    token = sign(zone, claims_of(client, exp=int(time.time()) - 30))
    assert bearer.authenticate(token)


def test_a_remembered_token_is_forgotten_when_it_ends(
    zone: Zone, client: Client
) -> None:
    token = sign(zone, claims_of(client, exp=int(time.time()) + 100))
    actor = bearer.authenticate(token)
    with time_machine.travel(time.time() + 100 + bearer.LEEWAY_SECONDS - 5):
        assert bearer.cached(token) == actor
    with time_machine.travel(time.time() + 100 + bearer.LEEWAY_SECONDS + 5):
        assert bearer.cached(token) is None
        with pytest.raises(InvalidToken):
            bearer.authenticate(token)


def test_nothing_is_remembered_of_a_refused_token(zone: Zone, client: Client) -> None:
    token = sign(zone, claims_of(client, scope="x"))
    with pytest.raises(MissingScope):
        bearer.authenticate(token)
    assert bearer.cached(token) is None


def test_a_zone_s_keys_are_read_once(zone: Zone, client: Client) -> None:
    tokens = [sign(zone, claims_of(client)) for _ in range(3)]
    with CaptureQueriesContext(connection) as queries:
        for token in tokens:
            bearer.authenticate(token)
    assert len(queries) == 1


def test_a_remembered_token_costs_no_query(zone: Zone, client: Client) -> None:
    token = sign(zone, claims_of(client))
    bearer.authenticate(token)
    with CaptureQueriesContext(connection) as queries:
        assert bearer.cached(token) == bearer.authenticate(token)
    assert len(queries) == 0


def test_made_up_key_ids_of_a_known_zone_cost_one_query_a_second(
    zone: Zone, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bearer, "COOL_DOWN_SECONDS", 3600.0)
    bearer.authenticate(sign(zone, claims_of(client)))
    stranger = ECKey.generate_key("P-256")
    with CaptureQueriesContext(connection) as queries:
        for _ in range(20):
            with pytest.raises(InvalidToken):
                bearer.authenticate(keys.sign(claims_of(client), new_id(), stranger))
    assert len(queries) == 0


def test_an_unknown_zone_is_looked_up_once(client: Client) -> None:
    stranger = ECKey.generate_key("P-256")
    claims = claims_of(client, zone_id=new_id())
    with CaptureQueriesContext(connection) as queries:
        for _ in range(20):
            with pytest.raises(InvalidToken):
                bearer.authenticate(keys.sign(claims, new_id(), stranger))
    assert len(queries) == 1


def test_made_up_zones_cost_a_bounded_number_of_queries(
    zone: Zone, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = sign(zone, claims_of(client))
    bearer.authenticate(known)
    monkeypatch.setattr(bearer, "_unknown_budget", bearer._Budget(2))
    monkeypatch.setattr(bearer.time, "monotonic", lambda: 1e9)
    stranger = ECKey.generate_key("P-256")
    refusals = []
    with CaptureQueriesContext(connection) as queries:
        for _ in range(10):
            token = keys.sign(claims_of(client, zone_id=new_id()), new_id(), stranger)
            with pytest.raises((InvalidToken, RateLimited)) as refusal:
                bearer.authenticate(token)
            refusals.append(refusal.type)
    assert len(queries) == 2
    assert refusals == [InvalidToken] * 2 + [RateLimited] * 8
    assert bearer.authenticate(sign(zone, claims_of(client)))
