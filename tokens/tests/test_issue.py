"""Issuing session tokens: what is granted, what is refused, and what is recorded."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.conf import LazySettings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.models import AuditEvent
from caracal_site.actors import Actor
from caracal_site.errors import CaracalError
from caracal_site.ids import new_id
from caracal_site.testing.races import Threads, held
from tokens import bearer, services
from tokens.errors import (
    ClientNotAuthenticated,
    ExchangeDenied,
    InvalidTokenRequest,
    TooManyExchanges,
    ZoneInvalid,
)
from tokens.models import Session, SigningKey
from tokens.services.issue import TokenAnswer, issue_session_token
from tokens.tests.factories import (
    LIFECYCLE,
    Client,
    digest_of,
    make_client,
    make_granted,
    make_resource,
    make_session,
    request_of,
)
from zones.models import Application, Resource, Zone


def issue(client: Client, resource: str, /, **changes: Any) -> TokenAnswer:
    return issue_session_token(request_of(client, resource, **changes))


def claims_in(answer: TokenAnswer) -> dict[str, Any]:
    header, claims = (
        msgspec.json.decode(bearer.decoded(part))
        for part in answer.access_token.split(".")[:2]
    )
    assert header.keys() == {"alg", "typ", "kid"}
    assert (header["alg"], header["typ"]) == ("ES256", "JWT")
    return dict(claims)


def ledger(zone: Zone) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(zone_id=zone.id).order_by("id"))


def test_the_answer_has_exactly_the_contract_s_members(
    client: Client, resource: str
) -> None:
    answer = issue(client, resource)
    body = answer.as_json()
    token = body.pop("access_token")
    assert len(token) < 4096
    assert body == {
        "token_type": "Bearer",
        "expires_in": 900,
        "scope": LIFECYCLE,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "target_resources": [resource],
    }


def test_the_claims_are_exactly_the_contract_s(
    settings: LazySettings, zone: Zone, client: Client, resource: str
) -> None:
    claims = claims_in(issue(client, resource, ttl_seconds=60))
    session = Session.objects.get(id=claims["sid"])
    assert claims.pop("exp") == session.expires_at.timestamp()
    assert claims.pop("iat") == session.authenticated_at.timestamp()
    assert (session.expires_at - session.authenticated_at).total_seconds() == 60
    assert claims == {
        "iss": settings.ISSUER_URL,
        "sub": client.id,
        "aud": [settings.ISSUER_URL],
        "jti": session.jti,
        "zone_id": zone.id,
        "client_id": client.id,
        "scope": LIFECYCLE,
        "sid": session.id,
        "root_sid": session.id,
        "use": "session",
        "sub_type": "application",
        "target": [resource],
    }


def test_the_session_behind_a_token_is_the_client_s(
    zone: Zone, client: Client, resource: str
) -> None:
    session = Session.objects.get(id=claims_in(issue(client, resource))["sid"])
    assert session.zone_id == zone.id
    assert session.client_id == session.subject_id == client.id
    assert (session.session_type, session.status) == ("application", "active")
    assert session.scope == LIFECYCLE
    assert session.parent_id is session.revoked_at is None


def test_an_issued_token_opens_the_coordinator(client: Client, resource: str) -> None:
    actor = bearer.authenticate(issue(client, resource).access_token)
    assert actor.client_id == client.id
    bearer.check_alive(actor)


def test_every_token_has_a_session_and_a_number_of_its_own(
    client: Client, resource: str
) -> None:
    claims = [claims_in(issue(client, resource)) for _ in range(3)]
    assert len({claim["sid"] for claim in claims}) == 3
    assert len({claim["jti"] for claim in claims}) == 3


def test_issuing_takes_one_statement_to_know_all_and_one_to_write_it(
    client: Client, resource: str
) -> None:
    issue(client, resource)
    with CaptureQueriesContext(connection) as queries:
        issue(client, resource)
    statements = [query["sql"] for query in queries]
    assert len(statements) == 2, statements


def test_the_ledger_ties_the_token_to_its_decision(
    zone: Zone, client: Client, resource: str
) -> None:
    """W-19: neither `jti` nor `sid` was in the audit."""
    claims = claims_in(issue(client, resource))
    [event] = ledger(zone)
    assert (event.event_type, event.decision) == ("token_exchange", "allow")
    assert event.evaluation_status == "complete"
    assert event.determining_policies_json == [{"policy": "caracal-bootstrap"}]
    assert event.diagnostics_json == []
    assert event.metadata_json == {
        "application_id": client.id,
        "application_name": client.application.name,
        "application_registration_method": "managed",
        "resource": resource,
        "requested_scopes": [LIFECYCLE],
        "session_id": "",
        "agent_session_id": "",
        "delegation_edge_id": "",
        "runtime_credential_injection": False,
        "jti": claims["jti"],
        "sid": claims["sid"],
        "policy_input": event.metadata_json["policy_input"],
    }


def test_what_cannot_be_granted_is_left_out_and_explained(
    zone: Zone, client: Client, resource: str
) -> None:
    """W-5: what was left out left no trace."""
    foreign = make_granted(zone, make_client(zone))
    answer = issue(client, resource, resource=[foreign, resource, "resource://none"])
    assert answer.target_resources == (resource,)
    assert claims_in(answer)["target"] == [resource]
    found = {
        event.metadata_json["resource"]: (event.decision, event.evaluation_status)
        for event in ledger(zone)
    }
    assert found == {
        foreign: ("deny", "complete"),
        resource: ("allow", "complete"),
        "resource://none": ("deny", "resource_not_found"),
    }


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"resource": "resource://none"}, "resource_not_found", "resource_not_found"),
        ({"scope": "undeclared"}, "scope_mismatch", "scope_mismatch"),
        ({"scope": f"{LIFECYCLE} undeclared"}, "scope_mismatch", "scope_mismatch"),
        ({"scope": "read"}, "complete", "no_rule_matched"),
        ({"scope": f"{LIFECYCLE} read"}, "complete", "no_rule_matched"),
        ({"scope": ""}, "complete", "no_rule_matched"),
    ],
    ids=str,
)
def test_a_request_nothing_is_granted_of_is_denied_and_explained(
    zone: Zone, client: Client, changes: dict[str, Any], status: str, reason: str
) -> None:
    resource = make_granted(zone, client, LIFECYCLE, "read")
    with pytest.raises(ExchangeDenied):
        issue(client, resource, **changes)
    event, summary = ledger(zone)
    assert (event.decision, event.evaluation_status) == ("deny", status)
    assert event.diagnostics_json == [{"reason": reason}]
    assert (summary.decision, summary.evaluation_status) == ("deny", "exchange_denied")
    assert summary.metadata_json["requested"] == [changes.get("resource", resource)]
    assert not Session.objects.filter(zone_id=zone.id).exists()


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"subject_token": "x"}, ExchangeDenied, "subject_token_needs_gateway"),
        ({"actor_token": "x"}, ExchangeDenied, "actor_token_not_supported"),
        ({"delegation_edge_id": "x"}, ExchangeDenied, "delegation_edge_not_usable"),
        ({"agent_session_id": "a"}, ExchangeDenied, "agent_session_not_usable"),
        ({"session_id": "x"}, ExchangeDenied, "session_not_usable"),
        (
            {"runtime_credential_injection": "true"},
            ExchangeDenied,
            "credential_injection_denied",
        ),
    ],
    ids=str,
)
def test_what_is_not_possible_is_refused_and_recorded(
    zone: Zone,
    client: Client,
    resource: str,
    changes: dict[str, Any],
    error: type[CaracalError],
    reason: str,
) -> None:
    """W-4: what only a gateway may do was audited as allowed first."""
    with pytest.raises(error):
        issue(client, resource, **changes)
    [summary] = ledger(zone)
    assert (summary.decision, summary.evaluation_status) == ("deny", "exchange_denied")
    assert summary.metadata_json["reason"] == reason
    assert not Session.objects.filter(zone_id=zone.id).exists()


def test_an_empty_subject_token_is_none(client: Client, resource: str) -> None:
    assert issue(client, resource, subject_token="")


def test_a_request_without_a_resource_is_malformed(
    client: Client, resource: str
) -> None:
    with pytest.raises(InvalidTokenRequest):
        issue(client, resource, resource=None)


def test_an_archived_resource_is_not_there(
    zone: Zone, client: Client, resource: str
) -> None:
    Resource.objects.filter(zone=zone).update(archived_at=timezone.now())
    with pytest.raises(ExchangeDenied):
        issue(client, resource)


def test_a_resource_of_another_zone_is_not_there(actor: Actor, client: Client) -> None:
    other = Zone.objects.create(name="other", slug=new_id())
    services.create_first_key(other, actor=actor)
    foreign = make_granted(other, make_client(other))
    with pytest.raises(ExchangeDenied):
        issue(client, foreign)


def test_fronting_a_resource_is_no_grant(
    zone: Zone, client: Client, resource: str
) -> None:
    """Only policies give something."""
    with pytest.raises(ExchangeDenied):
        issue(client, make_resource(zone, client))


def test_a_token_too_long_to_present_is_not_issued(zone: Zone, client: Client) -> None:
    resources = [
        make_granted(zone, client, identifier=f"resource://{new_id()}/{'x' * 300}")
        for _ in range(12)
    ]
    with pytest.raises(InvalidTokenRequest):
        issue(client, "", resource=resources)
    assert not Session.objects.filter(zone_id=zone.id).exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"client_secret": "wrong"},
        {"client_secret": ""},
        {"client_secret": None},
        {"application_id": "unknown"},
        {"application_id": "a b"},
        {"application_id": None},
        {"application_id": None, "zone_id": None, "client_secret": None},
    ],
    ids=str,
)
def test_a_client_that_is_not_proven_gets_one_and_the_same_answer(
    client: Client, resource: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(ClientNotAuthenticated) as refusal:
        issue(client, resource, **changes)
    assert (refusal.value.status, refusal.value.code) == (401, "access_denied")
    assert refusal.value.sentence == ClientNotAuthenticated().sentence


def test_an_unknown_client_costs_the_database_what_a_known_one_does(
    client: Client, resource: str
) -> None:
    """W-24: unknown applications answered faster."""
    counts = []
    for application_id in (client.id, new_id()):
        with (
            CaptureQueriesContext(connection) as queries,
            pytest.raises(ClientNotAuthenticated),
        ):
            issue(
                client, resource, application_id=application_id, client_secret="wrong"
            )
        counts.append(len(queries))
    assert counts[0] == counts[1] == 2


def test_the_right_secret_for_the_wrong_zone_is_told_apart(
    zone: Zone, client: Client, resource: str
) -> None:
    for zone_id in (new_id(), "", "a b"):
        with pytest.raises(ZoneInvalid):
            issue(client, resource, zone_id=zone_id)
        with pytest.raises(ClientNotAuthenticated):
            issue(client, resource, zone_id=zone_id, client_secret="wrong")


def test_the_previous_secret_is_good_until_its_overlap_ends(
    client: Client, resource: str
) -> None:
    rotated = Application.objects.filter(id=client.id)
    rotated.update(
        secret_digest=digest_of(client.id, "new secret"),
        previous_secret_digest=digest_of(client.id, client.secret),
        previous_secret_expires_at=timezone.now() + timedelta(minutes=1),
    )
    assert issue(client, resource)
    assert issue(client, resource, client_secret="new secret")
    rotated.update(previous_secret_expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(ClientNotAuthenticated):
        issue(client, resource)


def test_a_secret_that_is_replaced_meanwhile_gets_nothing(
    client: Client, resource: str
) -> None:
    """Whoever has proved who they are still waits for the application's row."""
    row = Application.objects.filter(id=client.id)
    with Threads(1) as threads:
        with held(row) as waiting:
            asked = threads.start(issue, client, resource)
            waiting(1)
            row.update(secret_digest=digest_of(client.id, "new secret"))
        assert isinstance(asked.exception(60), ClientNotAuthenticated)
    assert not Session.objects.filter(client_id=client.id).exists()
    assert issue(client, resource, client_secret="new secret")


def test_another_spelling_of_a_resource_names_it_too(
    zone: Zone, client: Client
) -> None:
    kept = make_granted(zone, client, identifier=f"https://{new_id()}.example.com")
    shouted = kept.replace("https://", "HTTPS://").replace("example", "EXAMPLE")
    for spelling in (kept, f"{kept}/", f"{kept}:443/", shouted):
        assert issue(client, spelling).target_resources == (kept,)


def test_an_archived_or_expired_application_gets_nothing(
    client: Client, resource: str
) -> None:
    row = Application.objects.filter(id=client.id)
    row.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(ClientNotAuthenticated):
        issue(client, resource)
    row.update(expires_at=None, archived_at=timezone.now())
    with pytest.raises(ClientNotAuthenticated):
        issue(client, resource)


def test_an_archived_zone_issues_nothing(
    zone: Zone, client: Client, resource: str
) -> None:
    """W-22: it went on issuing."""
    Zone.objects.filter(id=zone.id).update(archived_at=timezone.now())
    with pytest.raises(ClientNotAuthenticated):
        issue(client, resource)


def test_a_token_does_not_outlive_its_application(zone: Zone) -> None:
    """W-7."""
    client = make_client(
        zone,
        registration_method="dcr",
        expires_at=timezone.now() + timedelta(seconds=100),
    )
    answer = issue(client, make_granted(zone, client))
    assert 90 <= answer.expires_in <= 100


def test_an_archival_that_is_under_way_is_waited_for(
    client: Client, resource: str
) -> None:
    """The token is refused, although the application was live when it was asked for."""
    request = request_of(client, resource)
    outcomes: list[object] = []

    def ask() -> None:
        try:
            outcomes.append(issue_session_token(request))
        except CaracalError as refusal:
            outcomes.append(refusal)
        finally:
            connection.close()

    with transaction.atomic():
        Application.objects.filter(id=client.id).update(archived_at=timezone.now())
        asking = threading.Thread(target=ask)
        asking.start()
        asking.join(0.3)
        assert asking.is_alive()
    asking.join(5)
    assert [type(outcome) for outcome in outcomes] == [ClientNotAuthenticated]
    assert not Session.objects.filter(client_id=client.id).exists()


def test_a_session_of_the_client_may_be_named(
    zone: Zone, client: Client, resource: str
) -> None:
    session = make_session(client)
    issue(client, resource, session_id=session.id)
    [event] = ledger(zone)
    assert event.metadata_json["session_id"] == session.id


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "revoked"},
        {"status": "expired"},
        {"expires_at": timezone.now() - timedelta(hours=1)},
        {"session_type": "user"},
        {"subject_id": "somebody"},
    ],
    ids=lambda fields: "-".join(fields),
)
def test_a_session_that_is_not_usable_is_refused(
    client: Client, resource: str, fields: dict[str, Any]
) -> None:
    session = make_session(client, **fields)
    with pytest.raises(ExchangeDenied):
        issue(client, resource, session_id=session.id)


def test_another_client_s_session_is_refused(
    zone: Zone, client: Client, resource: str
) -> None:
    session = make_session(make_client(zone))
    with pytest.raises(ExchangeDenied):
        issue(client, resource, session_id=session.id)


def test_a_trait_gives_a_scope_of_the_coordinator(zone: Zone) -> None:
    """W-18: no token could have one."""
    scope = "coordinator.spawn_for:other"
    client = make_client(zone, traits=[f"coordinator:scope:{scope}"])
    resource = make_granted(zone, client)
    answer = issue(client, resource, scope=f"{LIFECYCLE} {scope}")
    assert answer.scope == f"{LIFECYCLE} {scope}"
    assert bearer.authenticate(answer.access_token).scopes == {LIFECYCLE, scope}


@pytest.mark.parametrize(
    "scope",
    [
        "coordinator.spawn_for:other",
        f"{LIFECYCLE} coordinator.admin",
        f"{LIFECYCLE} coordinator.spawn_for:another",
        f"{LIFECYCLE} coordinator.spawn_for",
    ],
)
def test_a_trait_gives_no_other_scope_and_none_alone(zone: Zone, scope: str) -> None:
    client = make_client(zone, traits=["coordinator:scope:coordinator.spawn_for:other"])
    with pytest.raises(ExchangeDenied):
        issue(client, make_granted(zone, client), scope=scope)


def test_a_trait_gives_only_scopes_of_the_coordinator(zone: Zone) -> None:
    client = make_client(zone, traits=["coordinator:scope:read"])
    with pytest.raises(ExchangeDenied):
        issue(client, make_granted(zone, client), scope=f"{LIFECYCLE} read")


def test_the_key_that_signs_is_read_anew_for_every_token(
    zone: Zone, actor: Actor, client: Client, resource: str
) -> None:
    first = issue(client, resource).access_token
    key = SigningKey.objects.in_zone(zone.id).signing().get()
    services.withdraw_signing_key(key.id, zone_id=zone.id, actor=actor, reason="stolen")
    second = issue(client, resource).access_token
    assert first.split(".")[0] != second.split(".")[0]
    bearer.check_alive(bearer.authenticate(second))


def test_failures_are_recorded_once_a_source_and_minute(
    zone: Zone, client: Client, resource: str, address: str
) -> None:
    """W-24: they left no audit event."""
    for _ in range(3):
        with pytest.raises(ClientNotAuthenticated):
            issue(client, resource, client_secret="wrong")
    events = ledger(zone)
    assert 1 <= len(events) <= 2  # two when a minute ended in between
    assert events[0].evaluation_status == "client_authentication_failed"
    assert events[0].decision == "deny"
    assert events[0].metadata_json == {
        "application_id": client.id,
        "source": address,
        "reason": "client_authentication_failed",
    }


def test_failures_in_a_zone_nobody_made_leave_no_row(
    client: Client, resource: str
) -> None:
    zone_id = new_id()
    with pytest.raises(ClientNotAuthenticated):
        issue(client, resource, zone_id=zone_id, client_secret="wrong")
    assert not AuditEvent.objects.filter(zone_id=zone_id).exists()


def test_failures_past_the_limit_are_answered_as_such(
    settings: LazySettings, client: Client, resource: str
) -> None:
    """W-24, W-25: guesses were not limited, or in one process only."""
    settings.TOKEN_AUTH_FAIL_LIMIT_PER_MIN = 1
    refusals = []
    for _ in range(4):
        with pytest.raises(CaracalError) as refusal:
            issue(client, resource, client_secret="wrong")
        refusals.append(refusal.value)
    assert isinstance(refusals[0], ClientNotAuthenticated)
    # At most one more gets through, when a minute ended in between.
    assert [type(refusal) for refusal in refusals[2:]] == [TooManyExchanges] * 2
    assert refusals[-1].code == "provider_rate_limited"
    assert int(refusals[-1].headers["Retry-After"]) >= 1
    assert issue(client, resource), "failures of others never lock a client out"


def test_requests_of_a_client_past_the_limit_are_answered_as_such(
    settings: LazySettings, client: Client, resource: str
) -> None:
    """W-23: they looked like denials by policy."""
    settings.TOKEN_RATE_LIMIT_PER_MIN = 1
    issue(client, resource)
    with suppress(TooManyExchanges):
        issue(client, resource)
    with pytest.raises(TooManyExchanges):
        issue(client, resource)
