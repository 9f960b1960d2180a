"""Authority sessions: revoked with their descendants, expired in batches."""

from __future__ import annotations

from datetime import timedelta

from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.events import News
from caracal_site.models import JobRun
from tokens import services, tasks
from tokens.models import Session
from tokens.tests.factories import Client, make_client, make_session
from zones.models import Zone


def status_of(session: Session) -> str:
    return Session.objects.get(id=session.id).status


def test_the_sessions_of_a_client_end_and_others_go_on(
    zone: Zone, client: Client
) -> None:
    mine, theirs = make_session(client), make_session(make_client(zone))
    events = services.revoke_sessions(
        zone_id=zone.id, client_ids=[client.id], reason="application_archived"
    )
    assert [event.entity_id for event in events] == [mine.id]
    assert (status_of(mine), status_of(theirs)) == ("revoked", "active")
    ended = Session.objects.get(id=mine.id)
    assert ended.revoked_reason == "application_archived"
    assert ended.revoked_at is not None


def test_the_sessions_of_a_zone_end_and_those_of_others_go_on(
    zone: Zone, client: Client, settings: LazySettings
) -> None:
    other_zone = Zone.objects.create(name="other", slug=client.id)
    elsewhere = make_session(make_client(other_zone))
    here = {make_session(client).id, make_session(make_client(zone)).id}
    with CaptureQueriesContext(connection) as queries:
        events = services.revoke_sessions(
            zone_id=zone.id, client_ids=None, reason="zone_archived"
        )
    assert {event.entity_id for event in events} == here
    assert status_of(elsewhere) == "active"
    assert len([q for q in queries if "UPDATE" in q["sql"]]) == 1


def test_descendants_end_with_their_ancestor(zone: Zone, client: Client) -> None:
    other = make_client(zone)
    root = make_session(client)
    child = make_session(other, parent=root)
    grandchild = make_session(other, parent=child)
    services.revoke_sessions(zone_id=zone.id, client_ids=[client.id], reason="gone")
    assert {status_of(s) for s in (root, child, grandchild)} == {"revoked"}


def test_what_has_ended_keeps_its_time_and_reason(zone: Zone, client: Client) -> None:
    make_session(client)
    expired = make_session(client, status="expired")
    services.revoke_sessions(zone_id=zone.id, client_ids=None, reason="first")
    before = list(Session.objects.in_zone(zone.id).order_by("id").values())
    assert (
        services.revoke_sessions(zone_id=zone.id, client_ids=None, reason="next") == []
    )
    assert list(Session.objects.in_zone(zone.id).order_by("id").values()) == before
    assert status_of(expired) == "expired"


def test_no_client_means_no_session(zone: Zone, client: Client) -> None:
    session = make_session(client)
    assert services.revoke_sessions(zone_id=zone.id, client_ids=[], reason="x") == []
    assert status_of(session) == "active"


def test_the_news_name_the_session(zone: Zone, client: Client) -> None:
    session = make_session(client)
    payload = {"zone_id": zone.id, "session_id": session.id, "reason": "gone"}
    [event] = services.revoke_sessions(zone_id=zone.id, client_ids=None, reason="gone")
    assert event.news() == [News("caracal.sessions.revoke", payload, "api")]


def test_the_coordinator_s_news_carry_a_key(zone: Zone, client: Client) -> None:
    session = make_session(client)
    [event] = services.revoke_sessions(
        zone_id=zone.id, client_ids=None, reason="gone", producer="coordinator"
    )
    [news] = event.news()
    assert news.producer == "coordinator"
    assert news.dedupe_key == f"session_revoked:{session.id}"


def test_sessions_past_their_time_expire_however_many_there_are(
    zone: Zone, client: Client, settings: LazySettings
) -> None:
    settings.SWEEPER_BATCH_SIZE = 2
    past = timezone.now() - timedelta(seconds=1)
    overdue = [make_session(client, expires_at=past) for _ in range(5)]
    live, revoked = (
        make_session(client),
        make_session(client, status="revoked", expires_at=past),
    )
    outcome = tasks.expire_sessions()
    assert outcome.handled >= 5
    assert {status_of(session) for session in overdue} == {"expired"}
    assert (status_of(live), status_of(revoked)) == ("active", "revoked")
    assert JobRun.objects.get(name="expire-sessions").handled >= 5
