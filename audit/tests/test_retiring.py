"""Decisions leave when their time is over: whole months, or row by row, never more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from audit import retention
from audit.ledger import retiring
from audit.models import AdminAuditEvent, AuditEvent, AuditRetention
from audit.tests.test_ledger import as_the_owner, decide, said, seal, verified
from caracal_site import statements
from caracal_site.actors import Actor
from caracal_site.ids import first_id_at, new_id
from zones.models import Zone

LONG_AGO = datetime(2023, 3, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def defaults() -> Any:
    """The platform's own row and the oldest months are shared by the process."""
    AuditRetention.objects.filter(scope=retention.PLATFORM).delete()
    yield
    AuditRetention.objects.filter(scope=retention.PLATFORM).delete()


def old_id(at: datetime) -> str:
    return first_id_at(at) + new_id()[13:]


def months() -> list[str]:
    return [name for name, _ in statements.fetch_all("audit/ledger_months", {})]


def make_month(at: datetime) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT caracal_make_ledger_partition(%s)", [at.date()])
    return f"audit_events_y{at:%Y}m{at:%m}"


def left(zone_id: str) -> int:
    return AuditEvent.objects.filter(zone_id=zone_id).count()


def aged(zone_id: str, days: int, times: int = 1) -> list[str]:
    return decide(zone_id, times, occurred_at=timezone.now() - timedelta(days=days))


def keep(zone_id: str, days: int, **more: Any) -> None:
    AuditRetention.objects.create(scope=zone_id, retention_days=days, **more)


def test_there_are_months_ahead_and_making_them_again_makes_none() -> None:
    retiring.make_partitions()
    assert retiring.make_partitions() == 0
    ahead = timezone.now() + timedelta(days=62)
    assert f"audit_events_y{ahead:%Y}m{ahead:%m}" in months()


def test_rows_lie_in_the_month_of_their_id_and_ids_stay_unique() -> None:
    zone_id = new_id()
    [id_] = decide(zone_id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tableoid::regclass::text FROM audit_events WHERE id = %s", [id_]
        )
        (partition,) = cursor.fetchone()
    assert partition == f"audit_events_y{timezone.now():%Ym%m}"


def test_a_month_made_late_takes_its_rows_along() -> None:
    at = LONG_AGO.replace(year=2022)
    zone_id, id_ = new_id(), old_id(at)
    AuditEvent.objects.create(id=id_, zone_id=zone_id, event_type="x", occurred_at=at)
    partition = make_month(at)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {partition}")  # noqa: S608
        assert cursor.fetchone() == (1,)
        cursor.execute("SELECT caracal_make_ledger_partition(%s)", [at.date()])
        assert cursor.fetchone() == (False,)
    seal()
    assert left(zone_id) == 1


def test_old_rows_go_and_the_chain_still_holds() -> None:
    zone_id = new_id()
    aged(zone_id, 40, 3)
    decide(zone_id, 2)
    seal()
    keep(zone_id, 30)
    assert retiring.retire().handled >= 3
    assert left(zone_id) == 2
    found = verified(zone_id)
    assert (found.rows, found.removed, found.broken) == (5, 3, 0)
    row = AdminAuditEvent.objects.in_zone(zone_id).get()
    assert row.payload_json["removed"] == 3
    assert row.payload_json["reason"] == retiring.REASON


def test_a_row_that_goes_besides_is_still_found() -> None:
    zone_id = new_id()
    aged(zone_id, 40)
    ids = aged(zone_id, 20)
    seal()
    keep(zone_id, 30)
    retiring.retire()
    with as_the_owner() as cursor:
        cursor.execute("DELETE FROM audit_events WHERE id = %s", [ids[0]])
    assert said(verified(zone_id)) == [(2, "is missing")]


def test_nobody_else_can_say_that_rows_were_removed() -> None:
    zone_id = new_id()
    ids = decide(zone_id, 2)
    seal()
    with as_the_owner() as cursor:
        cursor.execute("DELETE FROM audit_events WHERE id = %s", [ids[0]])
        cursor.execute(
            "UPDATE audit_chains SET removed_before = now(), removed_mac = '\\x00'"
            " WHERE zone_id = %s",
            [zone_id],
        )
    assert said(verified(zone_id)) == [(1, "is missing")]


def test_nothing_goes_under_a_hold() -> None:
    zone_id, other = new_id(), new_id()
    for one in (zone_id, other):
        aged(one, 40)
    seal()
    keep(zone_id, 30, legal_hold=True)
    keep(other, 30)
    AuditRetention.objects.create(scope=retention.PLATFORM, legal_hold=True)
    retiring.retire()
    assert (left(zone_id), left(other)) == (1, 1)
    AuditRetention.objects.filter(scope=retention.PLATFORM).delete()
    retiring.retire()
    assert (left(zone_id), left(other)) == (1, 0)


def test_the_database_itself_refuses_what_is_held_or_young() -> None:
    zone_id = new_id()
    aged(zone_id, 40)
    seal()
    keep(zone_id, 30, legal_hold=True)
    for before in (timezone.now() - timedelta(days=30), timezone.now()):
        asked = {"zone_id": zone_id, "before": before, "limit": 10}
        assert statements.fetch_one("audit/ledger_retire", asked) == (0,)
        AuditRetention.objects.filter(scope=zone_id).update(legal_hold=False)
    assert left(zone_id) == 1


def test_what_is_not_sealed_stays() -> None:
    zone_id = new_id()
    decide(zone_id)
    seal()
    aged(zone_id, 40)
    keep(zone_id, 30)
    retiring.retire()
    assert left(zone_id) == 2
    seal()
    retiring.retire()
    assert left(zone_id) == 1


def test_a_shorter_time_removes_nothing_while_it_waits(
    zone: Zone, actor: Actor
) -> None:
    aged(zone.id, 40)
    seal()
    retention.change_retention(
        zone_id=zone.id, actor=actor, changes={"retention_days": 30}, reason="r"
    )
    retiring.retire()
    assert left(zone.id) == 1


def test_a_month_that_is_past_goes_whole() -> None:
    zone_id, other = new_id(), new_id()
    partition = make_month(LONG_AGO)
    for one in (zone_id, other):
        AuditEvent.objects.create(
            id=old_id(LONG_AGO), zone_id=one, event_type="x", occurred_at=LONG_AGO
        )
    seal()
    keep(other, 300, legal_hold=True)
    retiring.retire()
    assert partition in months()
    assert (left(zone_id), left(other)) == (0, 1)
    AuditRetention.objects.filter(scope=other).update(legal_hold=False)
    retiring.retire()
    assert partition not in months()
    assert verified(zone_id).removed == verified(other).removed == 1
    assert not verified(other).faults
