"""Exchanges that a gateway signs: a session token in, a resource mandate out
(contract: tokens.md 6, 9, 13, 14)."""

from __future__ import annotations

import hashlib
import hmac
import time
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from django.utils import timezone
from pytest_django import Settings

from audit.models import AuditEvent
from caracal_site import stores
from caracal_site.actors import Actor
from caracal_site.ids import new_id
from caracal_site.testing.world import READ, WRITE, World
from policies.tests.factories import activate, document, make_version
from tokens import forms, services
from tokens.models import Session, SigningKey
from tokens.tests.factories import claims_of, claims_of_token, make_client, sign
from tokens.tests.test_binding import Fleet
from zones.models import Resource

KEY = "5a" * 31 + "c3"
TOKEN = "/oauth/2/token"


class Gateway:
    """Presents the clerk's narrowed token, as a gateway that has the key."""

    def __init__(self, world: World) -> None:
        self.fleet = Fleet(world)
        self.world = world
        self.subject = self.fleet.ask().access_token
        Resource.objects.filter(identifier=self.fleet.resource).update(
            operation_enforcement="transport_uniform"
        )

    def form(self, **changes: Any) -> dict[str, Any]:
        fields = {
            "grant_type": forms.TOKEN_EXCHANGE,
            "zone_id": self.world.zone.id,
            "application_id": self.world.application.id,
            "subject_token": self.subject,
            "subject_token_type": forms.ACCESS_TOKEN_TYPE,
            "resource": self.fleet.resource,
            "request_method": "GET",
            "request_path": "/docs",
        } | changes
        return {name: value for name, value in fields.items() if value is not None}

    def send(
        self,
        *,
        headers: dict[str, str] | None = None,
        key: str = KEY,
        at: float = 0.0,
        signed: dict[str, Any] | None = None,
        path: str = TOKEN,
        **changes: Any,
    ) -> httpx.Response:
        """One request; ``signed`` is the form that was signed instead of what is
        sent, ``at`` how far the gateway's clock is ahead."""
        fields = self.form(**changes)
        request_id = new_id()
        timestamp = str(int(time.time() + at))
        canonical = urlencode(sorted((signed or fields).items())).encode()
        digest = hashlib.sha256(canonical).hexdigest()
        lines = "\n".join((timestamp, request_id, "POST", path, digest))
        signature = hmac.new(bytes.fromhex(key), lines.encode(), hashlib.sha256)
        sent = {
            "Content-Type": forms.FORM,
            "X-Request-Id": request_id,
            "X-Caracal-Gateway-Timestamp": timestamp,
            "X-Caracal-Gateway-Request": request_id,
            "X-Caracal-Gateway-Signature": signature.hexdigest(),
            **(headers or {}),
        }
        body = urlencode(fields).encode()
        return self.world.coordinator.post(TOKEN, content=body, headers=sent)

    def refusal(self, **given: Any) -> tuple[int, str, str]:
        """Status and code, and the reason the ledger has for it."""
        before = Session.objects.filter(zone=self.world.zone).count()
        answer = self.send(**given)
        assert answer.status_code >= 400, answer.json()
        assert Session.objects.filter(zone=self.world.zone).count() == before
        row = AuditEvent.objects.filter(
            zone_id=self.world.zone.id, request_id=answer.headers["X-Request-ID"]
        ).latest("id")
        reason = row.metadata_json.get("reason", "")
        return answer.status_code, answer.json()["error"], reason


@pytest.fixture(autouse=True)
def key(settings: Settings) -> None:
    settings.GATEWAY_STS_HMAC_KEY = KEY


@pytest.fixture
def gateway(world: World) -> Gateway:
    return Gateway(world)


def mandate(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.json()
    return claims_of_token(answer.json()["access_token"])


def subject_claims(gateway: Gateway) -> dict[str, Any]:
    return claims_of_token(gateway.subject)


def enforce(gateway: Gateway, scope: str = READ) -> None:
    Resource.objects.filter(identifier=gateway.fleet.resource).update(
        operation_enforcement="enforced",
        operations=[{"method": "GET", "path": "/docs", "scope": scope}],
    )


def test_a_gateway_gets_a_mandate_for_the_resource(gateway: Gateway) -> None:
    """W-11, W-29: its subject was a user, and its delegation nowhere."""
    answer = gateway.send()
    claims, subject = mandate(answer), subject_claims(gateway)
    assert claims["use"] == "resource"
    assert claims["aud"] == claims["target"] == [gateway.fleet.resource]
    assert claims["root_sid"] == subject["sid"]
    assert claims["sid"] != subject["sid"]
    assert (claims["sub"], claims["sub_type"]) == (subject["sub"], "application")
    assert claims["scope"] == answer.json()["scope"] == READ
    for same in (
        "agent_session_id",
        "delegation_edge_id",
        "delegation_path",
        "delegation_chain",
        "hop_count",
    ):
        assert claims[same] == subject[same], same
    assert claims["exp"] - claims["iat"] <= 900
    session = Session.objects.get(id=claims["sid"])
    assert (session.parent_id, session.session_type) == (subject["sid"], "application")
    upstream = answer.json()["upstreams"][gateway.fleet.resource]
    assert upstream["auth_mode"] == "none"
    row = AuditEvent.objects.filter(zone_id=gateway.world.zone.id).latest("id")
    assert (row.decision, row.metadata_json["jti"]) == ("allow", claims["jti"])
    asked = row.metadata_json["policy_input"]
    assert asked["action"]["method"] == "GET"
    assert asked["context"]["subject_claims"]["delegation_edge_id"]


def test_a_mandate_ends_with_the_session_it_was_made_from(gateway: Gateway) -> None:
    claims = mandate(gateway.send())
    services.revoke_session(
        claims["root_sid"],
        zone_id=gateway.world.zone.id,
        client_id=gateway.world.application.id,
        reason="gone",
    )
    assert Session.objects.get(id=claims["sid"]).status == "revoked"
    assert gateway.refusal() == (403, "access_denied", "subject_session_not_usable")


def test_a_mandate_lives_no_longer_than_its_subject(gateway: Gateway) -> None:
    """W-7."""
    soon = timezone.now() + timedelta(seconds=40)
    sid = subject_claims(gateway)["sid"]
    Session.objects.filter(id=sid).update(expires_at=soon)
    assert gateway.send().json()["expires_in"] <= 40


def test_a_mandate_cannot_be_exchanged_again(gateway: Gateway) -> None:
    token = gateway.send().json()["access_token"]
    assert gateway.refusal(subject_token=token) == (
        401,
        "invalid_token",
        "subject_token_invalid",
    )


def test_without_a_key_no_gateway_is_believed(
    gateway: Gateway, settings: Settings
) -> None:
    settings.GATEWAY_STS_HMAC_KEY = ""
    assert gateway.refusal() == (401, "access_denied", "gateway_signature")


def test_without_a_signature_a_subject_token_is_worth_nothing(
    gateway: Gateway,
) -> None:
    fields = gateway.form(client_secret=gateway.world.application.secret)
    answer = gateway.world.coordinator.post(
        TOKEN,
        content=urlencode(fields).encode(),
        headers={"Content-Type": forms.FORM},
    )
    assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")


BAD: dict[str, dict[str, Any]] = {
    "another key": {"key": "ab" * 32},
    "a clock 61 s behind": {"at": -62.0},
    "a clock 2 minutes ahead": {"at": 120.0},
    "another path": {"path": "/oauth/2/other"},
    "another form": {"signed": {"a": "b"}},
    "no timestamp": {"headers": {"X-Caracal-Gateway-Timestamp": ""}},
    "a strange timestamp": {"headers": {"X-Caracal-Gateway-Timestamp": "now"}},
    "no signature": {"headers": {"X-Caracal-Gateway-Signature": ""}},
    "another request": {"headers": {"X-Request-Id": "another"}},
    "a strange request": {"headers": {"X-Caracal-Gateway-Request": "a b"}},
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_signature_is_refused(gateway: Gateway, name: str) -> None:
    answer = gateway.send(**BAD[name])
    assert (answer.status_code, answer.json()["error"]) == (401, "access_denied")


@pytest.mark.parametrize("at", [-58.0, 58.0])
def test_clocks_may_be_a_minute_apart(gateway: Gateway, at: float) -> None:
    assert gateway.send(at=at).status_code == 200


def test_a_request_is_believed_once(gateway: Gateway) -> None:
    first = gateway.send()
    sent = first.request
    again = gateway.world.coordinator.post(
        TOKEN, content=sent.content, headers=dict(sent.headers)
    )
    assert first.status_code == 200
    assert (again.status_code, again.json()["error"]) == (401, "access_denied")


def test_what_cannot_be_told_from_a_repeat_is_refused(
    gateway: Gateway, settings: Settings
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    stores.redis_client().close()
    assert gateway.refusal() == (401, "access_denied", "gateway_signature")


SUBJECTS: dict[str, Any] = {
    "nothing": (None, (401, "access_denied", "subject_token_missing")),
    "nonsense": ("x", (401, "invalid_token", "subject_token_invalid")),
    "truncated": ("cut", (401, "invalid_token", "subject_token_invalid")),
    "swapped": ("swap", (401, "invalid_token", "subject_token_invalid")),
    "of another application": (
        "other",
        (403, "access_denied", "subject_of_another_client"),
    ),
    "without a session": (
        "orphan",
        (403, "access_denied", "subject_session_not_usable"),
    ),
    "of another's session": (
        "stolen",
        (403, "access_denied", "subject_session_not_usable"),
    ),
    "from the future": ("future", (401, "invalid_token", "subject_token_invalid")),
    "past its time": ("past", (401, "invalid_token", "subject_token_invalid")),
}


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_subject_that_does_not_hold_is_refused(gateway: Gateway, name: str) -> None:
    what, wanted = SUBJECTS[name]
    world, token = gateway.world, gateway.subject
    other = make_client(world.zone)
    head, _claims, signature = token.split(".")
    now = int(time.time())
    own = {"sid": world.session().id, "root_sid": world.session().id}
    over = {"exp": now - 120, "iat": now - 999, **own}
    made = {
        "cut": token[:-9],
        "swap": f"{head}.{world.token().split('.')[1]}.{signature}",
        "other": sign(
            world.zone,
            claims_of(other, sid=world.session(other).id)
            | {"root_sid": world.session(other).id},
        ),
        "orphan": sign(world.zone, claims_of(world.application, sid="x", root_sid="x")),
        "stolen": sign(
            world.zone,
            claims_of(world.application, sid=world.session(other).id, root_sid="x"),
        ),
        "future": sign(world.zone, claims_of(world.application, iat=now + 120, **own)),
        "past": sign(world.zone, claims_of(world.application, **over)),
    }
    assert gateway.refusal(subject_token=made.get(what, what)) == wanted


def test_the_subject_of_a_withdrawn_key_is_refused_at_once(
    gateway: Gateway, actor: Actor
) -> None:
    assert gateway.send().status_code == 200
    zone_id = gateway.world.zone.id
    key = SigningKey.objects.in_zone(zone_id).signing().get()
    services.withdraw_signing_key(key.id, zone_id=zone_id, actor=actor, reason="stolen")
    assert gateway.refusal() == (403, "access_denied", "subject_session_not_usable")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"session_id": "x"}, "subject_session_id_differs"),
        ({"agent_session_id": "x"}, "subject_agent_session_id_differs"),
        ({"delegation_edge_id": "x"}, "subject_delegation_edge_id_differs"),
        ({"scope": WRITE}, "scopes_outside_subject"),
        ({"actor_token": "x"}, "actor_token_not_supported"),
    ],
    ids=str,
)
def test_a_gateway_cannot_ask_for_more_than_its_subject_has(
    gateway: Gateway, changes: dict[str, str], reason: str
) -> None:
    assert gateway.refusal(**changes) == (403, "access_denied", reason)


@pytest.mark.parametrize("ttl", ["901", "-1", "x"])
def test_a_mandate_lives_a_quarter_of_an_hour_at_most(
    gateway: Gateway, ttl: str
) -> None:
    answer = gateway.send(ttl_seconds=ttl)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_gateway_acts_for_applications_of_the_zone_it_names(
    gateway: Gateway, actor: Actor
) -> None:
    for changes in ({"zone_id": "nobody"}, {"application_id": "nobody"}):
        answer = gateway.send(**changes)
        assert (answer.status_code, answer.json()["error"]) == (401, "access_denied")


def test_the_end_of_the_edge_ends_the_exchange(gateway: Gateway) -> None:
    """W-29: the edge of the subject was not looked at."""
    gateway.world.revoke(gateway.fleet.edge)
    status, code, _reason = gateway.refusal()
    assert (status, code) == (403, "access_denied")


def test_policies_are_asked_again(gateway: Gateway) -> None:
    roles = {"nobody": [READ]}
    grant = {"application": "main", "roles": roles}
    data = document(
        app_ids={"main": gateway.world.application.id},
        grants={gateway.fleet.resource: grant},
    )
    activate(make_version(gateway.world.zone, data))
    assert gateway.refusal() == (403, "access_denied", "nothing_granted")


def test_a_resource_the_subject_does_not_name_is_denied(gateway: Gateway) -> None:
    other = gateway.world.make_resource(gateway.world.application).identifier
    status, code, _reason = gateway.refusal(resource=other)
    assert (status, code) == (403, "access_denied")


def test_only_declared_operations_are_permitted_where_that_is_enforced(
    gateway: Gateway,
) -> None:
    enforce(gateway)
    assert gateway.send().status_code == 200
    assert gateway.send(request_method="get").status_code == 200
    for changes in (
        {"request_method": "POST"},
        {"request_path": "/docs/1"},
        {"request_path": None},
    ):
        refused = gateway.refusal(**changes)
        assert refused == (403, "operation_not_permitted", "operation_not_permitted")
    enforce(gateway, scope=WRITE)
    assert gateway.refusal()[1] == "operation_not_permitted"


def test_a_provider_that_needs_a_credential_gets_no_mandate(gateway: Gateway) -> None:
    resource = Resource.objects.get(identifier=gateway.fleet.resource)
    provider = resource.credential_provider
    type(provider).objects.filter(id=provider.id).update(kind="api_key")
    assert gateway.refusal() == (403, "access_denied", "nothing_granted")
    row = AuditEvent.objects.filter(
        zone_id=gateway.world.zone.id, evaluation_status="credential_not_provisioned"
    )
    assert row.exists()
    type(provider).objects.filter(id=provider.id).update(kind="caracal_mandate")
    upstream = gateway.send().json()["upstreams"][gateway.fleet.resource]
    assert upstream["auth_mode"] == "caracal_jwt"
    assert upstream["forward_caracal_identity"] is True
