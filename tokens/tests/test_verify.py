"""``/v1/verify``: by signature and claims, and by what is in force if asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from joserfc.jwk import ECKey
from pytest_django import Settings

from agents.models import AgentSession
from caracal_site import actors
from caracal_site.ids import new_id
from caracal_site.testing.client import Background, Coordinator
from caracal_site.testing.counting import statements_of
from caracal_site.testing.world import World, refusal
from tokens import keys, services, verifying
from tokens.models import Session, SigningKey
from tokens.tests.factories import Client, claims_of, make_agent, make_edge, sign
from zones.models import Application, Zone

INVALID = (401, "token_invalid")
Ask = Callable[..., Any]


@pytest.fixture
def claims(client: Client) -> dict[str, Any]:
    """The claims of a session token as the token endpoint makes them."""
    sid = new_id()
    return claims_of(client, sid=sid, root_sid=sid)


@pytest.fixture
def ask(coordinator: Coordinator) -> Ask:
    def ask(**body: Any) -> Any:
        return coordinator.post("/v1/verify", body)

    return ask


def test_a_good_token_is_told_what_it_claims(
    ask: Ask, zone: Zone, client: Client, claims: dict[str, Any]
) -> None:
    response = ask(token=sign(zone, claims), zone_id=zone.id)
    assert response.status_code == 200
    assert response.json() == {
        "valid": True,
        "claims": {
            "sub": client.id,
            "zoneId": zone.id,
            "clientId": client.id,
            "sid": claims["sid"],
            "rootSid": claims["sid"],
            "use": "session",
            "subType": "application",
            "jti": claims["jti"],
            "issuedAt": claims["iat"],
            "expiresAt": claims["exp"],
            "scope": claims["scope"],
        },
    }


def test_what_a_token_is_bound_to_is_told_and_what_is_empty_is_not(
    ask: Ask, zone: Zone, claims: dict[str, Any]
) -> None:
    bound = claims | {
        "target": ["resource://r1"],
        "agent_session_id": "ag-1",
        "delegation_edge_id": "ed-1",
        "source_session_id": "so-1",
        "target_session_id": "",
        "delegation_path": ["ed-0", "ed-1"],
        "delegation_chain": [
            {"application_id": "ap-1", "agent_session_id": "", "more": 1},
            {"application_id": "ap-2", "delegation_edge_id": "ed-1"},
        ],
        "delegation_graph_epoch": 4,
        "hop_count": 10,
    }
    told = ask(token=sign(zone, bound), require_agent=True, require_delegation=True)
    found = told.json()["claims"]
    assert found["targetResources"] == ["resource://r1"]
    assert (found["agentSessionId"], found["delegationEdgeId"]) == ("ag-1", "ed-1")
    assert found["sourceSessionId"] == "so-1"
    assert "targetSessionId" not in found
    assert found["delegationPath"] == ["ed-0", "ed-1"]
    assert found["delegationChain"] == [
        {"applicationId": "ap-1"},
        {"applicationId": "ap-2", "delegationEdgeId": "ed-1"},
    ]
    assert (found["graphEpoch"], found["hopCount"]) == (4, 10)
    again = ask(token=sign(zone, claims | {"delegation_chain": []}))
    assert "delegationChain" not in again.json()["claims"]


def test_the_token_may_come_as_an_authorization_value(
    ask: Ask, zone: Zone, claims: dict[str, Any]
) -> None:
    token = sign(zone, claims)
    for body in (
        {"authorization": f"Bearer {token}"},
        {"authorization": token},
        {"token": token, "authorization": "Bearer junk"},
    ):
        assert ask(**body).status_code == 200, body


def test_without_a_token_there_is_nothing_to_verify(
    coordinator: Coordinator, ask: Ask, zone: Zone, claims: dict[str, Any]
) -> None:
    for body in ({}, {"authorization": "Bearer "}):
        response = ask(**body)
        assert refusal(response) == (400, "missing_token")
        assert response.json()["valid"] is False
    # The request's own header is not looked at.
    response = coordinator.post("/v1/verify", {}, token=sign(zone, claims))
    assert refusal(response) == (400, "missing_token")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"token": ""}, ["token"]),
        ({"token": 7}, ["token"]),
        ({"authorization": None}, ["authorization"]),
        ({"zone_id": ""}, ["zone_id"]),
        ({"required_scope": []}, ["required_scope"]),
        ({"require_agent": "yes"}, ["require_agent"]),
        ({"colour": "red"}, ["colour"]),
    ],
)
def test_a_wrong_member_is_named(
    ask: Ask, body: dict[str, Any], path: list[str]
) -> None:
    response = ask(**body)
    assert refusal(response) == (400, "invalid_body")
    assert [i["path"] for i in response.json()["details"]["issues"]] == [path]


def test_a_body_that_is_none_is_refused(coordinator: Coordinator) -> None:
    kind = {"Content-Type": "application/json"}
    for content in (b"{", b"[]", b"null", b""):
        response = coordinator.post("/v1/verify", content=content, headers=kind)
        assert refusal(response) == (400, "invalid_body"), content
    assert coordinator.get("/v1/verify").status_code == 405


@pytest.mark.parametrize(
    "token", ["junk", "a.b", "a.b.c", "....", "\u2713.\u2713.\u2713", "x" * 5_000]
)
def test_nonsense_is_invalid(ask: Ask, token: str) -> None:
    response = ask(token=token)
    assert refusal(response) == INVALID
    assert response.json()["valid"] is False


NEEDED = [
    "exp", "iat", "jti", "sub", "client_id", "sid", "root_sid", "use", "sub_type",
    "zone_id", "iss", "aud",
]  # fmt: skip


@pytest.mark.parametrize("missing", NEEDED)
def test_a_token_that_claims_too_little_is_invalid(
    ask: Ask, zone: Zone, claims: dict[str, Any], missing: str
) -> None:
    del claims[missing]
    assert refusal(ask(token=sign(zone, claims))) == INVALID


@pytest.mark.parametrize(
    "wrong",
    [
        {"use": "odd"},
        {"sub_type": "robot"},
        {"hop_count": 11},
        {"hop_count": 1.5},
        {"hop_count": -1},
        {"hop_count": None},
        {"delegation_chain": "x"},
        {"delegation_chain": [{}]},
        {"delegation_path": [1]},
        {"delegation_graph_epoch": "4"},
        {"agent_session_id": 4},
        {"target": "resource://r1"},
        {"target": [""]},
        {"scope": ["a"]},
        {"jti": ""},
        {"sid": None},
        {"iat": -1},
        {"exp": 4e9},
        {"exp": 1},
        {"nbf": 4_000_000_000},
        {"iss": "https://e.example.com"},
        {"aud": ["https://e.example.com"]},
        {"zone_id": "a b"},
    ],
    ids=str,
)
def test_a_token_that_claims_wrongly_is_invalid(
    ask: Ask, zone: Zone, claims: dict[str, Any], wrong: dict[str, Any]
) -> None:
    assert refusal(ask(token=sign(zone, claims | wrong))) == INVALID


def test_the_clock_may_be_off_by_a_minute(
    ask: Ask, zone: Zone, claims: dict[str, Any]
) -> None:
    now = int(time.time())
    for off in ({"exp": now - 50}, {"nbf": now + 50}, {"iat": now + 50}):
        assert ask(token=sign(zone, claims | off)).status_code == 200, off
    for far in ({"exp": now - 61}, {"nbf": now + 120}, {"iat": now + 120}):
        assert refusal(ask(token=sign(zone, claims | far))) == INVALID, far


def test_another_key_signs_nothing(
    ask: Ask, zone: Zone, elsewhere: Zone, claims: dict[str, Any]
) -> None:
    made_up = keys.sign(claims, new_id(), ECKey.generate_key(keys.CURVE))
    assert refusal(ask(token=made_up)) == INVALID
    assert refusal(ask(token=sign(elsewhere, claims))) == INVALID
    head, body, _ = sign(zone, claims).split(".")
    assert refusal(ask(token=f"{head}.{body}.AAAA")) == INVALID


def test_each_expectation_is_held_to(
    ask: Ask, zone: Zone, elsewhere: Zone, claims: dict[str, Any]
) -> None:
    token = sign(zone, claims)
    assert ask(token=token, required_scope="agent:lifecycle").status_code == 200
    for expected in (
        {"zone_id": elsewhere.id},
        {"required_scope": "agent"},
        {"require_agent": True},
        {"require_delegation": True},
        {"audience": "resource://r1"},
    ):
        # Also of a token that was found good before.
        assert refusal(ask(token=token, **expected)) == INVALID, expected


def test_a_resource_mandate_is_verified_for_its_audience(
    ask: Ask, zone: Zone, claims: dict[str, Any]
) -> None:
    """W21: not only what opens the coordinator."""
    mandate = claims | {"use": "resource", "aud": ["resource://r1", "resource://r2"]}
    token = sign(zone, mandate)
    assert refusal(ask(token=token)) == INVALID
    response = ask(token=token, audience="resource://r2")
    assert response.json()["claims"]["use"] == "resource"


def test_a_zone_s_keys_are_read_once_and_a_known_token_costs_nothing(
    background: Background,
    ask: Ask,
    zone: Zone,
    claims: dict[str, Any],
    settings: Settings,
) -> None:
    settings.DEBUG = True
    one, two = (sign(zone, claims | {"jti": new_id()}) for _ in range(2))
    costs = [
        len(statements_of(background, lambda t=t: ask(token=t)))
        for t in (one, two, one)
    ]
    assert costs == [1, 0, 0]


def test_a_withdrawn_key_is_trusted_no_longer_than_it_is_remembered(
    monkeypatch: pytest.MonkeyPatch, ask: Ask, zone: Zone, claims: dict[str, Any]
) -> None:
    token = sign(zone, claims)
    assert ask(token=token).status_code == 200
    (key,) = SigningKey.objects.in_zone(zone.id)
    services.withdraw_signing_key(
        key.id, zone_id=zone.id, actor=actors.system("tests"), reason="leaked"
    )
    found = ask(token=token, check_liveness=True).json()
    assert (found["live"], found["liveness"]["signing_key"]) == (False, "withdrawn")
    later = time.monotonic() + verifying.KEYS_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert refusal(ask(token=token)) == INVALID


def test_verifications_are_limited_for_each_address(
    ask: Ask, settings: Settings
) -> None:
    settings.VERIFY_RATE_LIMIT_PER_MIN = 2
    assert [ask(token="junk").status_code for _ in range(2)] == [401, 401]
    response = ask()
    assert refusal(response) == (429, "rate_limited")
    assert response.json()["valid"] is False
    assert int(response.headers["Retry-After"]) >= 1


# What is in force.


def revoke_session(session_id: str) -> None:
    Session.objects.filter(id=session_id).update(
        status="revoked", revoked_at=timezone.now()
    )


def test_what_has_ended_still_verifies_and_is_told_when_asked(
    ask: Ask, world: World
) -> None:
    """W21: a good signature says nothing about what is in force."""
    sid = world.session().id
    token = world.token(root_sid=sid)
    live = ask(token=token, check_liveness=True).json()
    assert live["live"] is True
    assert live["liveness"] == {
        "zone": "active",
        "application": "active",
        "signing_key": "active",
        "session": "active",
        "root_session": "active",
        "delegation_edges": {},
    }
    revoke_session(sid)
    response = ask(token=token)
    assert (response.status_code, set(response.json())) == (200, {"valid", "claims"})
    found = ask(token=token, check_liveness=True).json()
    assert (found["valid"], found["live"]) == (True, False)
    assert found["liveness"]["session"] == "revoked"
    assert found["claims"] == live["claims"]


def test_the_agent_and_every_edge_are_told(
    ask: Ask, zone: Zone, client: Client, claims: dict[str, Any]
) -> None:
    agent = make_agent(client)
    first, last = make_edge(client, agent), make_edge(client, agent)
    session = agent.subject_session_id
    token = sign(
        zone,
        claims
        | {
            "sid": session,
            "root_sid": session,
            "agent_session_id": agent.id,
            "delegation_edge_id": last.id,
            "delegation_path": [first.id, last.id],
            "delegation_chain": [
                {"application_id": client.id, "delegation_edge_id": first.id}
            ],
        },
    )
    found = ask(token=token, check_liveness=True).json()
    assert found["live"] is True
    assert found["liveness"]["agent_session"] == "active"
    assert found["liveness"]["delegation_edges"] == {
        first.id: "active",
        last.id: "active",
    }
    first.status = "revoked"
    first.save()
    AgentSession.objects.filter(id=agent.id).update(status="suspended")
    found = ask(token=token, check_liveness=True).json()
    assert found["live"] is False
    assert found["liveness"]["agent_session"] == "suspended"
    assert found["liveness"]["delegation_edges"][first.id] == "revoked"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"status": "terminated", "terminated_at": timedelta()}, "terminated"),
        ({"expires_at": timedelta(seconds=-1)}, "expired"),
        (
            {
                "lifecycle": "service",
                "expires_at": None,
                "heartbeat_deadline_at": timedelta(seconds=-1),
            },
            "lease_expired",
        ),
    ],
)
def test_how_an_agent_is_out_of_force_is_told(
    ask: Ask,
    zone: Zone,
    client: Client,
    claims: dict[str, Any],
    changes: dict[str, Any],
    told: str,
) -> None:
    agent = make_agent(client)
    AgentSession.objects.filter(id=agent.id).update(
        **{
            name: timezone.now() + value if isinstance(value, timedelta) else value
            for name, value in changes.items()
        }
    )
    token = sign(zone, claims | {"agent_session_id": agent.id})
    found = ask(token=token, check_liveness=True).json()["liveness"]
    assert found["agent_session"] == told


def test_what_the_zone_does_not_know_is_unknown(
    ask: Ask, zone: Zone, client: Client, claims: dict[str, Any]
) -> None:
    odd = {
        "sid": "a\0b",
        "agent_session_id": "nobody",
        "delegation_edge_id": "none",
        "client_id": "x\0",
    }
    found = ask(token=sign(zone, claims | odd), check_liveness=True).json()
    assert found["live"] is False
    assert {
        found["liveness"][k] for k in ("session", "application", "agent_session")
    } == {"unknown"}
    assert found["liveness"]["delegation_edges"] == {"none": "unknown"}


def test_an_archived_application_is_told(
    ask: Ask, zone: Zone, client: Client, claims: dict[str, Any]
) -> None:
    token = sign(zone, claims)
    Application.objects.filter(id=client.id).update(archived_at=timezone.now())
    found = ask(token=token, check_liveness=True).json()["liveness"]
    assert found["application"] == "archived"
