"""W-19: sessions are not kept for ever, and none goes that something still names."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from agents.models import AgentSession
from audit.models import AuditRetention
from caracal_site.ids import first_id_at, new_id
from caracal_site.models import JobRun
from tokens import services, tasks
from tokens.models import Session, StepUpChallenge
from tokens.services import retiring
from tokens.tests.factories import Client, make_client, make_session
from zones.models import Zone


@pytest.fixture(autouse=True)
def month(settings: LazySettings) -> None:
    settings.SESSION_RETENTION_DAYS = 30


def days_ago(days: float) -> datetime:
    return timezone.now() - timedelta(days=days)


def make_old(client: Client, *, days: float = 400, **fields: Any) -> Session:
    """A session that ended so many days ago."""
    defaults = {"status": "expired", "expires_at": days_ago(days)}
    session = make_session(client, **(defaults | fields))
    began = {"created_at": days_ago(days) - timedelta(hours=1)}
    Session.objects.filter(id=session.id).update(**began)
    return session


def make_agent_on(session: Session, **fields: Any) -> AgentSession:
    """An agent that was spawned while the session lasted."""
    spawned = session.expires_at - timedelta(minutes=10)
    return AgentSession.objects.create(
        id=first_id_at(spawned) + new_id()[13:],
        zone_id=session.zone_id,
        application_id=session.client_id,
        subject_session=session,
        **fields,
    )


def is_there(session: Session) -> bool:
    return Session.objects.filter(id=session.id).exists()


def keep_decisions(scope: str, **fields: Any) -> None:
    AuditRetention.objects.update_or_create(
        scope=scope, defaults={"updated_at": timezone.now(), **fields}
    )


def test_what_ended_long_ago_goes_and_is_counted(client: Client) -> None:
    """W-19: a session row per exchange was never deleted."""
    gone = [make_old(client), make_old(client, status="revoked")]
    stay = [make_session(client), make_old(client, days=20)]
    tasks.retire_sessions()
    assert [is_there(one) for one in gone] == [False, False]
    assert [is_there(one) for one in stay] == [True, True]
    assert JobRun.objects.get(name="retire-sessions").handled >= 2


def test_nothing_goes_before_the_decisions_that_name_it(
    zone: Zone, client: Client
) -> None:
    keep_decisions(zone.id, retention_days=100)
    kept, gone = make_old(client, days=99), make_old(client, days=102)
    services.retire_sessions()
    assert (is_there(kept), is_there(gone)) == (True, False)


def test_a_longer_retention_of_sessions_than_of_decisions_counts(
    zone: Zone, client: Client
) -> None:
    keep_decisions(zone.id, retention_days=10)
    kept, gone = make_old(client, days=29), make_old(client, days=31)
    services.retire_sessions()
    assert (is_there(kept), is_there(gone)) == (True, False)


def test_a_legal_hold_keeps_all(zone: Zone, client: Client) -> None:
    keep_decisions(zone.id, legal_hold=True)
    session = make_old(client)
    services.retire_sessions()
    assert is_there(session)


@pytest.mark.parametrize("status", ["suspended", "terminated"])
def test_a_session_that_an_agent_stands_on_stays(client: Client, status: str) -> None:
    session, other = make_old(client), make_old(client)
    ended = timezone.now() if status == "terminated" else None
    make_agent_on(session, status=status, terminated_at=ended)
    services.retire_sessions()
    assert (is_there(session), is_there(other)) == (True, False)


def test_a_live_agent_keeps_its_session_whatever_its_id_says(client: Client) -> None:
    session = make_old(client)
    AgentSession.objects.create(
        zone_id=session.zone_id, application_id=client.id, subject_session=session
    )
    services.retire_sessions()
    assert is_there(session)


def test_what_another_session_was_made_from_goes_after_it(client: Client) -> None:
    root = make_old(client)
    child = make_old(client, parent=root, days=20)
    services.retire_sessions()
    assert (is_there(root), is_there(child)) == (True, True)
    Session.objects.filter(id=child.id).update(expires_at=days_ago(400))
    Session.objects.filter(id=child.id).update(created_at=days_ago(401))
    services.retire_sessions()
    services.retire_sessions()
    assert (is_there(root), is_there(child)) == (False, False)


def test_a_session_nobody_marked_as_expired_yet_waits_for_that(client: Client) -> None:
    session = make_old(client, status="active")
    services.retire_sessions()
    assert is_there(session)


def test_more_than_a_batch_goes_in_one_run_past_what_has_to_stay(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retiring, "BATCH", 2)
    sessions = [make_old(client, days=400 - number) for number in range(7)]
    for kept in sessions[:3]:
        make_agent_on(kept)
    assert services.retire_sessions().handled == 4
    assert [is_there(one) for one in sessions] == [True] * 3 + [False] * 4


def test_zones_keep_their_own_time(zone: Zone, client: Client) -> None:
    other_zone = Zone.objects.create(name="other", slug=client.id)
    keep_decisions(zone.id, legal_hold=True)
    here, there = make_old(client), make_old(make_client(other_zone))
    services.retire_sessions()
    assert (is_there(here), is_there(there)) == (True, False)


def test_answered_requests_for_approval_go_and_open_ones_stay(client: Client) -> None:
    def challenge(state: str, days: float) -> str:
        made = StepUpChallenge.objects.create(
            zone_id=client.application.zone_id,
            application_id=client.id,
            ttl_seconds=900,
            binding_hash=bytes(32),
            state=state,
            expires_at=days_ago(days),
        )
        StepUpChallenge.objects.filter(id=made.id).update(created_at=days_ago(days + 1))
        return made.id

    gone = {challenge("rejected", 400), challenge("expired", 400)}
    stay = {challenge("expired", 20), challenge("pending", 400)}
    services.retire_sessions()
    found = set(StepUpChallenge.objects.values_list("id", flat=True))
    assert not gone & found
    assert stay <= found
