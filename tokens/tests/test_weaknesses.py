"""Weaknesses of other implementations, each as the scenario it is known by, and trouble
of every kind (contract: tokens.md 20). Those with tests of their own beside what they
are about name their number there and are not repeated.
"""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
import time_machine
from django.db import connection

from audit.models import AuditEvent
from caracal_site.ids import new_id
from caracal_site.testing.client import Coordinator
from caracal_site.testing.world import READ, World
from policies.tests.factories import activate, document, make_version
from tokens import bearer, forms, verifying
from tokens.models import Session
from tokens.tests.factories import Client, claims_of, form_of, sign
from zones.models import Zone

TOKEN = "/oauth/2/token"
FORM = {"Content-Type": forms.FORM}


def ask(
    coordinator: Coordinator,
    client: Client,
    resource: str,
    /,
    headers: dict[str, str] | None = None,
    query: str = "",
    **changes: Any,
) -> httpx.Response:
    content = form_of(client, resource, **changes)
    sent = FORM | (headers or {})
    return coordinator.post(TOKEN + query, content=content, headers=sent)


def ledger(zone: Zone) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(zone_id=zone.id).order_by("id"))


def test_a_secret_in_the_query_is_refused_and_written_nowhere(
    coordinator: Coordinator,
    zone: Zone,
    client: Client,
    resource: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """W-3: parameters were read from the query as well, which access logs keep."""
    query = f"?client_secret={client.secret}&zone_id={zone.id}"
    changes: dict[str, Any] = {"client_secret": None}
    with caplog.at_level("DEBUG"):
        answer = ask(coordinator, client, resource, query=query, **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert client.secret not in answer.text
    # The test's own client logs what it asks for.
    logged = [row.getMessage() for row in caplog.records if row.name != "httpx"]
    assert all(client.secret not in text for text in logged)
    assert all(client.secret not in str(row.metadata_json) for row in ledger(zone))
    assert not Session.objects.filter(zone=zone).exists()


@pytest.mark.parametrize(
    "name", ["client_secret", "scope", "zone_id", "agent_session_id", "unheard_of"]
)
def test_the_first_of_two_values_does_not_count(
    coordinator: Coordinator, zone: Zone, client: Client, resource: str, name: str
) -> None:
    """W-3: the first was taken, whatever the second said."""
    content = form_of(client, resource) + f"&{name}=a&{name}=b".encode()
    answer = coordinator.post(TOKEN, content=content, headers=FORM)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert not Session.objects.filter(zone=zone).exists()


def test_a_form_of_70_kib_is_refused_however_good_it_is(
    coordinator: Coordinator, zone: Zone, client: Client, resource: str
) -> None:
    answer = ask(coordinator, client, resource, padding="x" * 70 * 1024)
    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")
    assert not Session.objects.filter(zone=zone).exists()
    assert not ledger(zone)


@pytest.mark.parametrize("given", ["a b", "x" * 129, "<script>", "é".encode()], ids=str)
def test_another_s_request_id_pollutes_no_trace(
    coordinator: Coordinator, zone: Zone, client: Client, resource: str, given: Any
) -> None:
    """W-9: any text of any length went to the audit, and never came back."""
    headers: Any = {"X-Request-ID": given}
    refused = ask(
        coordinator, client, resource, headers=headers, client_secret="cs_wrong"
    )
    told = refused.headers["X-Request-ID"]
    assert told != given
    assert refused.json()["requestId"] == told
    assert [row.request_id for row in ledger(zone)] == [told]


def test_a_good_request_id_is_echoed_and_on_record(
    coordinator: Coordinator, zone: Zone, client: Client, resource: str
) -> None:
    """W-9."""
    mine = f"run-{new_id()}"
    answer = ask(coordinator, client, resource, headers={"X-Request-ID": mine})
    assert answer.headers["X-Request-ID"] == mine
    assert [row.request_id for row in ledger(zone)] == [mine]


@pytest.mark.parametrize("token", ["forged", "cut short", "swapped", "of a resource"])
def test_no_token_stands_for_another(
    coordinator: Coordinator, zone: Zone, client: Client, resource: str, token: str
) -> None:
    issued = ask(coordinator, client, resource).json()["access_token"]
    header, claims, signature = issued.split(".")
    other = ask(coordinator, client, resource).json()["access_token"]
    bad = {
        "forged": ".".join((header, other.split(".")[1], signature)),
        "cut short": issued[:-2],
        "swapped": ".".join((other.split(".")[0], claims, other.split(".")[2])),
        "of a resource": sign(zone, claims_of(client, use="resource", aud=[resource])),
    }[token]
    answer = coordinator.get(f"/zones/{zone.id}/agents", token=bad)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    good = coordinator.get(f"/zones/{zone.id}/agents", token=issued)
    assert good.status_code == 200


@pytest.mark.parametrize("minutes", [-2, 2])
def test_a_process_whose_clock_is_off_issues_what_the_database_s_says(
    coordinator: Coordinator, client: Client, resource: str, minutes: int
) -> None:
    """Two minutes are more than verifiers forgive each other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT floor(extract(epoch FROM now()))::int")
        (now,) = cursor.fetchone()
    with time_machine.travel(time.time() + 60 * minutes):
        token = ask(coordinator, client, resource).json()["access_token"]
    _, claims = verifying._read(token)
    assert 0 <= claims.iat - now <= 60
    assert claims.exp - claims.iat == 900
    session = Session.objects.get(jti=claims.jti)
    assert session.expires_at.timestamp() == claims.exp


@pytest.mark.parametrize(
    "times", [{"iat": 120, "exp": 1_000}, {"iat": -900, "exp": -120}], ids=str
)
def test_a_token_two_minutes_off_opens_nothing(
    coordinator: Coordinator, zone: Zone, client: Client, times: dict[str, int]
) -> None:
    now = int(time.time())
    shifted: Any = {name: now + by for name, by in times.items()}
    token = sign(zone, claims_of(client, **shifted))
    answer = coordinator.get(f"/zones/{zone.id}/agents", token=token)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


def test_a_revocation_leaves_the_session_of_the_application_to_its_agents(
    world: World,
) -> None:
    """W-21: the shared session ended, the next call of the issuer was 401, and cleaning
    up what had ended was 404."""
    issuer, receiver, bystander = world.spawn(), world.spawn(), world.spawn()
    edge = world.delegate(issuer, receiver)
    assert world.revoke(edge).status_code == 200
    assert Session.objects.get(id=world.session().id).status == "active"
    for agent in (issuer, bystander):
        assert world.get(f"/agents/{agent['agent_session_id']}").status_code == 200
    for agent in (receiver, receiver, issuer):
        path = f"/agents/{agent['agent_session_id']}"
        assert world.delete(path).status_code == 204


def test_a_token_of_one_agent_does_not_act_for_another(world: World) -> None:
    """W-28: any lifecycle token of an application acted for all its agents."""
    mine, other = world.spawn(), world.spawn()
    bound = world.token(agent_session_id=mine["agent_session_id"])
    for agent, status in ((other, 403), (mine, 204)):
        path = f"/agents/{agent['agent_session_id']}"
        assert world.delete(path, token=bound).status_code == status
    assert world.agent(other).status == "active"


def test_what_ended_meanwhile_is_refused_at_the_very_next_request(
    world: World,
) -> None:
    """W-27: it was accepted until a stream had been read."""
    view = {"application": "main", "roles": {"clerk": [READ]}}
    identifier = world.resource.identifier
    data = document(app_ids={"main": world.application.id}, grants={identifier: view})
    activate(make_version(world.zone, data))
    lead, clerk = world.spawn(), world.spawn(labels=["clerk"])
    edge = world.delegate(lead, clerk)
    named = {
        "scope": READ,
        "agent_session_id": clerk["agent_session_id"],
        "delegation_edge_id": edge["delegation_edge_id"],
    }
    asked = (world.coordinator, world.application, identifier)
    assert ask(*asked, **named).status_code == 200
    world.revoke(edge)
    answer = ask(*asked, **named)
    assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")
    reasons = [row.metadata_json.get("reason") for row in ledger(world.zone)]
    assert reasons[-1] in ("agent_session_not_usable", "delegation_edge_not_usable")


def test_a_stolen_key_is_withdrawn_and_what_it_signed_is_worthless(
    coordinator: Coordinator, zone: Zone, client: Client, resource: str
) -> None:
    """W-16: there was no way to withdraw one."""
    from django.conf import settings

    token = ask(coordinator, client, resource).json()["access_token"]
    path = f"/zones/{zone.id}/agents"
    assert coordinator.get(path, token=token).status_code == 200
    header, _ = bearer._read(token)
    withdrawn = coordinator.post(
        f"/internal/zones/{zone.id}/signing-keys/{header.kid}/withdraw",
        {"reason": "stolen"},
        token=settings.CARACAL_COORDINATOR_TOKEN,
    )
    assert withdrawn.status_code == 200
    assert coordinator.get(path, token=token).status_code == 401
    again = ask(coordinator, client, resource).json()["access_token"]
    # Unknown keys are looked for once a second.
    bearer.forget_everything()
    assert coordinator.get(path, token=again).status_code == 200
    keys = coordinator.get(f"/.well-known/jwks.json?zone_id={zone.id}").json()["keys"]
    assert header.kid not in [key["kid"] for key in keys]
