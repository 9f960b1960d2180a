"""The requests of the published clients about tokens, as they send them, and what
they read of the answers (contract: clients.md 2, 3, 4, 6)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from django.conf import LazySettings
from django.db import connection
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import ECKey

from audit.models import AuditEvent
from caracal_site.testing.api import Api
from caracal_site.testing.races import held, wait_for
from caracal_site.testing.world import READ, WRITE, World
from caracal_site.times import to_wire
from tokens import forms
from tokens.models import Session, StepUpChallenge
from tokens.tests.approvals import Guarded
from tokens.tests.factories import LIFECYCLE, claims_of_token, make_resource
from zones.models import Application, Resource, Zone

FORM = {"content-type": forms.FORM, "accept": "*/*", "user-agent": "python-httpx/0.28"}
LOST = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
REQUIRED = {
    "exp",
    "iat",
    "jti",
    "sub",
    "sid",
    "root_sid",
    "client_id",
    "use",
    "sub_type",
}


@pytest.fixture
def guarded(world: World) -> Guarded:
    Resource.objects.filter(id=world.resource.id).update(
        scopes=[LIFECYCLE, READ, WRITE]
    )
    return Guarded(world)


def post(world: World, *pairs: tuple[str, str]) -> httpx.Response:
    body = urlencode(pairs).encode()
    return world.coordinator.post("/oauth/2/token", content=body, headers=FORM)


def python_sdk(guarded: Guarded, *more: tuple[str, str], scope: str = LIFECYCLE) -> Any:
    client = guarded.world.application
    return post(
        guarded.world,
        ("grant_type", forms.TOKEN_EXCHANGE),
        ("zone_id", guarded.world.zone.id),
        ("application_id", client.id),
        ("client_secret", client.secret),
        ("scope", scope),
        ("resource", guarded.resource),
        *more,
    )


def mint_mandate(guarded: Guarded, scope: str, *more: tuple[str, str]) -> Any:
    return python_sdk(
        guarded,
        ("agent_session_id", guarded.clerk["agent_session_id"]),
        ("delegation_edge_id", guarded.edge["delegation_edge_id"]),
        *more,
        scope=scope,
    )


def assert_token(answer: httpx.Response, scope: str) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["token_type"] == "Bearer"
    assert type(body["expires_in"]) is int
    assert body["expires_in"] > 60
    assert body["scope"] == scope
    assert len(body["access_token"]) < 4096
    assert all(isinstance(name, str) for name in body["target_resources"])
    return dict(body)


def test_the_python_sdk_gets_its_implicit_token(guarded: Guarded) -> None:
    assert_token(python_sdk(guarded), LIFECYCLE)


def test_the_python_sdk_mints_a_mandate(guarded: Guarded) -> None:
    answer = mint_mandate(guarded, READ, ("ttl_seconds", "300"))
    assert assert_token(answer, READ)["expires_in"] == 300


def test_the_python_sdk_mints_what_a_person_approves(
    guarded: Guarded, api: Api
) -> None:
    refused = mint_mandate(guarded, f"{READ} {WRITE}")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Bearer error="interaction_required"'
    body = refused.json()
    assert body["error"] == "interaction_required"
    assert body["challenge_type"] == "human_approval"
    assert body["requestId"] == refused.headers["x-request-id"]
    ends = datetime.fromisoformat(body["challenge_expires_at"].replace("Z", "+00:00"))
    assert ends.tzinfo is not None
    challenge = body["challenge_id"]
    polled = guarded.world.coordinator.get(f"/step-up/{challenge}")
    assert polled.json()["satisfied"] is False
    path = f"/v1/zones/{guarded.world.zone.id}/step-up-challenges"
    assert [row["id"] for row in api.get(path).json()] == [challenge]
    told = api.post(f"{path}/{challenge}/satisfy", {}).json()
    assert told.keys() == {"id", "satisfied_at", "approver_subject_id"}
    polled = guarded.world.coordinator.get(f"/step-up/{challenge}")
    assert polled.json()["satisfied"] is True
    answer = mint_mandate(guarded, f"{READ} {WRITE}", ("challenge_id", challenge))
    assert_token(answer, f"{READ} {WRITE}")


def test_the_errors_of_the_python_sdk_have_their_codes(
    guarded: Guarded, elsewhere: Zone
) -> None:
    client = guarded.world.application
    good = {
        "grant_type": forms.TOKEN_EXCHANGE,
        "zone_id": guarded.world.zone.id,
        "application_id": client.id,
        "client_secret": client.secret,
        "scope": LIFECYCLE,
        "resource": guarded.resource,
    }
    for changes, status, code in (
        ({"client_secret": "wrong"}, 401, "access_denied"),
        ({"zone_id": elsewhere.id}, 403, "zone_invalid"),
        ({"resource": "resource://none"}, 403, "access_denied"),
        ({"ttl_seconds": "soon"}, 400, "invalid_request"),
    ):
        answer = post(guarded.world, *(good | changes).items())
        assert (answer.status_code, answer.json()["error"]) == (status, code)
        assert answer.json()["requestId"]
        assert answer.json()["error_description"]


def oauth_client(guarded: Guarded, **changes: str) -> httpx.Response:
    client = guarded.world.application
    fields = {
        "grant_type": forms.TOKEN_EXCHANGE,
        "subject_token": "",
        "subject_token_type": forms.ACCESS_TOKEN_TYPE,
        "resource": guarded.resource,
        "zone_id": guarded.world.zone.id,
        "application_id": client.id,
        "client_secret": client.secret,
        "scope": LIFECYCLE,
        "ttl_seconds": "900",
    }
    return post(guarded.world, *(fields | changes).items())


def test_the_python_oauth_client_sends_an_empty_subject(guarded: Guarded) -> None:
    assert_token(oauth_client(guarded), LIFECYCLE)


def test_the_python_oauth_client_gets_nothing_for_a_subject(guarded: Guarded) -> None:
    subject = oauth_client(guarded).json()["access_token"]
    answer = oauth_client(guarded, subject_token=subject)
    assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")


def test_wrong_credentials_arrive_twice_and_are_on_record_once(
    guarded: Guarded,
) -> None:
    for _ in range(2):
        answer = oauth_client(guarded, client_secret="wrong")
        assert (answer.status_code, answer.json()["error"]) == (401, "access_denied")
    failures = AuditEvent.objects.filter(
        zone_id=guarded.world.zone.id,
        evaluation_status="client_authentication_failed",
    )
    assert failures.count() in (1, 2)  # Two minutes may have been met.


def test_the_typescript_sdk_gets_its_token(guarded: Guarded) -> None:
    client = guarded.world.application
    answer = post(
        guarded.world,
        ("grant_type", forms.TOKEN_EXCHANGE),
        ("zone_id", guarded.world.zone.id),
        ("application_id", client.id),
        ("resource", guarded.resource),
        ("client_secret", client.secret),
        ("scope", LIFECYCLE),
    )
    body = assert_token(answer, LIFECYCLE)
    assert "upstreams" not in body


def test_the_python_sdk_names_each_of_its_resources(guarded: Guarded) -> None:
    other = make_resource(guarded.world.zone, guarded.world.application)
    answer = python_sdk(guarded, ("resource", other))
    assert answer.status_code == 200
    # What no policy grants is left out; the client reads what is left.
    assert answer.json()["target_resources"] == [guarded.resource]


def test_a_short_token_says_how_short_it_is(guarded: Guarded) -> None:
    """Below a minute the SDK fetches one for every use, and goes by ``exp``."""
    body = mint_mandate(guarded, READ, ("ttl_seconds", "45")).json()
    claims = claims_of_token(body["access_token"])
    assert body["expires_in"] == 45 == claims["exp"] - claims["iat"]


def test_what_the_sdk_s_quirks_ask_for_is_denied(guarded: Guarded) -> None:
    """A root agent mints without an edge, and who delegated with the one it gave."""
    lead = guarded.lead["agent_session_id"]
    edge = guarded.edge["delegation_edge_id"]
    for more in (
        [("agent_session_id", lead)],
        [("agent_session_id", lead), ("delegation_edge_id", edge)],
    ):
        answer = python_sdk(guarded, *more, scope=READ)
        assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")


def test_the_python_oauth_client_sends_all_it_may(guarded: Guarded) -> None:
    bound = {
        "agent_session_id": guarded.clerk["agent_session_id"],
        "delegation_edge_id": guarded.edge["delegation_edge_id"],
        "scope": READ,
    }
    assert_token(oauth_client(guarded, **bound), READ)
    session = claims_of_token(oauth_client(guarded).json()["access_token"])["sid"]
    assert_token(oauth_client(guarded, session_id=session, **bound), READ)
    for refused, status, code in (
        ({"client_assertion": "x"}, 400, "invalid_request"),
        ({"actor_token": "x"}, 403, "access_denied"),
        ({"runtime_credential_injection": "true"}, 403, "access_denied"),
    ):
        answer = oauth_client(guarded, **refused)
        assert (answer.status_code, answer.json()["error"]) == (status, code)
        assert answer.json()["error_description"]


def test_the_python_oauth_client_learns_whom_to_wait_for(guarded: Guarded) -> None:
    """It raises with the challenge, whose ``acr_values`` are optional."""
    answer = oauth_client(
        guarded,
        agent_session_id=guarded.clerk["agent_session_id"],
        delegation_edge_id=guarded.edge["delegation_edge_id"],
        scope=f"{READ} {WRITE}",
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "interaction_required")
    challenge = answer.json()["challenge_id"]
    assert StepUpChallenge.objects.get(id=challenge).state == "pending"


def test_the_clients_come_again_when_they_are_told_to(
    guarded: Guarded, settings: LazySettings
) -> None:
    """They honour seconds in ``Retry-After`` with 429."""
    settings.TOKEN_RATE_LIMIT_PER_MIN = 1
    answers = [python_sdk(guarded) for _ in range(4)]
    limited = [answer for answer in answers if answer.status_code == 429]
    assert len(limited) >= 2
    assert 1 <= int(limited[0].headers["retry-after"]) <= 60


def spawn(guarded: Guarded, **members: Any) -> httpx.Response:
    token = python_sdk(guarded).json()["access_token"]
    world = guarded.world
    body = {"application_id": world.application.id, **members}
    path = f"/zones/{world.zone.id}/agents"
    return world.coordinator.post(path, body, token=token)


def test_a_spawn_may_name_the_session_it_stands_on(guarded: Guarded) -> None:
    session = claims_of_token(python_sdk(guarded).json()["access_token"])["sid"]
    answer = spawn(guarded, subject_session_id=session)
    assert answer.status_code in (200, 201)
    agent = guarded.world.agent(answer.json()["agent_session_id"])
    assert agent.subject_session_id == session


def test_a_delegation_carries_every_constraint_the_sdk_has(guarded: Guarded) -> None:
    world = guarded.world
    ends = timezone.now() + timedelta(minutes=20)
    answer = world.try_delegate(
        guarded.lead,
        world.spawn(),
        constraints={
            "resources": [guarded.resource],
            "max_depth": 2,
            "max_hops": 2,
            "ttl_seconds": 600,
            "budget": 2,
            "policy_approved": False,
            "expires_at": to_wire(ends),
            "broad_reason": "none",
        },
    )
    assert answer.status_code in (200, 201), answer.text
    assert answer.json()["delegation_edge_id"]


def test_the_identity_packages_verify_what_is_issued(guarded: Guarded) -> None:
    token = mint_mandate(guarded, READ).json()["access_token"]
    zone_id = guarded.world.zone.id
    answer = guarded.world.coordinator.get(f"/.well-known/jwks.json?zone_id={zone_id}")
    [key] = answer.json()["keys"]
    found = jwt.decode(token, ECKey.import_key(key), algorithms=["ES256"])
    assert found.header["kid"] == key["kid"]
    claims = found.claims
    assert all(claims[name] for name in REQUIRED)
    assert claims["zone_id"] == zone_id
    assert claims["hop_count"] == 1
    applications = {link["application_id"] for link in claims["delegation_chain"]}
    assert applications == {guarded.world.application.id}
    assert guarded.world.coordinator.get("/.well-known/jwks.json").status_code == 400


def lose_the_connection(world: World, *pairs: tuple[str, str], row: Any) -> Any:
    """The answer to a token request whose connection is cut while it waits."""
    body = urlencode(pairs).encode()
    with held(row):
        begun = world.coordinator.start(
            "POST", "/oauth/2/token", content=body, headers=FORM
        )
        wait_for(1)
        with connection.cursor() as cursor:
            cursor.execute(LOST)
            assert cursor.fetchall() == [(True,)]
        return begun.result(20)


def test_a_connection_lost_in_the_middle_issues_nothing(
    guarded: Guarded, api: Api
) -> None:
    """W-10: a store that failed was a 403, which no client tries again."""
    world = guarded.world
    challenge = guarded.challenge()
    path = f"/v1/zones/{world.zone.id}/step-up-challenges/{challenge.id}/satisfy"
    assert api.post(path).status_code == 200
    client = world.application
    pairs = (
        ("grant_type", forms.TOKEN_EXCHANGE),
        ("zone_id", world.zone.id),
        ("application_id", client.id),
        ("client_secret", client.secret),
        ("scope", WRITE),
        ("resource", guarded.resource),
        ("agent_session_id", guarded.clerk["agent_session_id"]),
        ("delegation_edge_id", guarded.edge["delegation_edge_id"]),
        ("challenge_id", challenge.id),
    )
    before = Session.objects.filter(zone=world.zone).count()
    rows = (
        Application.objects.filter(id=client.id),
        StepUpChallenge.objects.filter(id=challenge.id),
    )
    for row in rows:
        answer = lose_the_connection(world, *pairs, row=row)
        assert (answer.status_code, answer.json()["error"]) == (503, "sts_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert Session.objects.filter(zone=world.zone).count() == before
        challenge.refresh_from_db()
        assert challenge.state == "satisfied"
    assert_token(post(world, *pairs), WRITE)
