"""Publishing, against a real Valkey and the real database."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from audit import nudge, publisher, services, streams
from audit.errors import OutboxEventNotParked
from audit.models import AdminAuditEvent, EventHead, OutboxEvent
from audit.tasks import prune_outbox, publish_outbox
from audit.tests.factories import PrivateValkey, entries, happen, private_valkey, queue
from caracal_site import statements, stores
from caracal_site.actors import Actor
from caracal_site.api.errors import AdminTokenReadOnly
from caracal_site.ids import first_id_at, new_id
from caracal_site.locks import LockClass, held
from zones.models import Zone

WORKERS = "caracal:celery:celery"
KEY = bytes.fromhex(django_settings.STREAMS_HMAC_KEY)


@pytest.fixture
def client() -> redis.Redis:
    return stores.redis_client()


@pytest.fixture
def stream() -> Iterator[str]:
    """A stream of the test's own."""
    name = f"test.{new_id()}"
    yield name
    stores.redis_client().delete(name)


@pytest.fixture
def valkey() -> Iterator[PrivateValkey]:
    # What other tests have left is not for this server.
    publisher.publish(stores.redis_client())
    with private_valkey() as server:
        yield server


def numbers(client: redis.Redis, stream: str) -> list[int]:
    return [int(entry["zone_seq"]) for entry in entries(client, stream)]


def rows(zone: Zone) -> list[OutboxEvent]:
    return list(OutboxEvent.objects.filter(zone_id=zone.id).order_by("position"))


def test_news_goes_out_in_order_densely_numbered_and_signed(
    zone: Zone, client: redis.Redis, stream: str
) -> None:
    happen(zone.id, topic=stream, times=5, payload={"zone_id": zone.id, "parent": None})
    publisher.publish(client)
    found = entries(client, stream)
    assert [entry["dedupe_key"] for entry in found] == [f"e{nth}:1" for nth in range(5)]
    assert numbers(client, stream) == [1, 2, 3, 4, 5]
    assert all(streams.verify(stream, entry, KEY) for entry in found)
    assert found[0]["parent"] == "null"
    assert [row.id for row in rows(zone)] == [entry["outbox_id"] for entry in found]
    assert all(row.published_at and row.attempts == 0 for row in rows(zone))


def test_numbers_go_on_across_runs_and_streams(
    zone: Zone, client: redis.Redis, stream: str, settings: Any
) -> None:
    settings.OUTBOX_BATCH_SIZE = 3
    queue(zone.id, stream, *[{"n": n} for n in range(7)])
    publisher.publish(client)
    queue(zone.id, f"{stream}.other", {"n": 7})
    queue(zone.id, stream, {"n": 8})
    publisher.publish(client)
    assert numbers(client, stream) == [1, 2, 3, 4, 5, 6, 7, 9]
    assert numbers(client, f"{stream}.other") == [8]
    assert EventHead.objects.get(zone_id=zone.id).last_seq == 9
    client.delete(f"{stream}.other")


def test_a_run_that_died_before_marking_is_repeated_under_the_same_numbers(
    zone: Zone, client: redis.Redis, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What other tests left goes first, or the run would die over that.
    publisher.publish(client)
    queue(zone.id, stream, {"n": 1}, {"n": 2})
    add = publisher._send

    def send_and_die(client: redis.Redis, sent: list[publisher.Entry]) -> Any:
        monkeypatch.setattr(statements, "execute", die)
        return add(client, sent)

    def die(name: str, parameters: Any) -> int:
        connection.connection.close()
        raise OperationalError(f"gone before {name}")

    monkeypatch.setattr(publisher, "_send", send_and_die)
    with pytest.raises(OperationalError):
        publisher.publish(client)
    monkeypatch.undo()
    connection.close()
    queue(zone.id, stream, {"n": 3})
    publisher.publish(client)
    found = entries(client, stream)
    assert numbers(client, stream) == [1, 2, 1, 2, 3]
    assert [entry["outbox_id"] for entry in found[:2]] == [
        entry["outbox_id"] for entry in found[2:4]
    ]


def test_a_row_that_commits_late_gets_the_next_number(
    zone: Zone, client: redis.Redis, stream: str
) -> None:
    late = OutboxEvent.objects.create(
        zone_id=zone.id, topic=stream, producer="api", payload_json={"n": 1}
    )
    position = late.position
    late.delete()
    queue(zone.id, stream, {"n": 2})
    publisher.publish(client)
    queue(zone.id, stream, {"n": 1}, position=position)
    publisher.publish(client)
    assert [(e["n"], e["zone_seq"]) for e in entries(client, stream)] == [
        ("2", "1"),
        ("1", "2"),
    ]


def test_what_was_numbered_before_goes_out_before_a_late_row(
    zone: Zone, client: redis.Redis, stream: str
) -> None:
    late, numbered, other = queue(zone.id, stream, {"n": 3}, {"n": 1}, {"n": 2})
    EventHead.objects.create(
        zone_id=zone.id, last_seq=2, sending=[numbered.position, other.position]
    )
    publisher.publish(client)
    assert [entry["n"] for entry in entries(client, stream)] == ["1", "2", "3"]
    assert numbers(client, stream) == [1, 2, 3]
    late.refresh_from_db()
    assert late.zone_seq == 3
    assert EventHead.objects.get(zone_id=zone.id).sending == []


def test_numbered_rows_that_turned_poison_leave_a_gap_and_hold_nobody(
    zone: Zone, client: redis.Redis, stream: str
) -> None:
    *poison, good = queue(zone.id, stream, ["no"], ["no"], {"n": 3})
    sending = [row.position for row in (*poison, good)]
    EventHead.objects.create(zone_id=zone.id, last_seq=3, sending=sending)
    publisher.publish(client)
    queue(zone.id, stream, ["no"])
    EventHead.objects.filter(zone_id=zone.id).update(sending=sending[:1])
    (last,) = queue(zone.id, stream, {"n": 4})
    publisher.publish(client)
    assert numbers(client, stream) == [3, 4]
    last.refresh_from_db()
    assert last.published_at
    OutboxEvent.objects.parked().filter(zone_id=zone.id).delete()


def test_without_a_key_entries_are_unsigned(
    zone: Zone, client: redis.Redis, stream: str, settings: Any
) -> None:
    settings.STREAMS_HMAC_KEY = ""
    queue(zone.id, stream, {"n": 1})
    publisher.publish(client)
    assert [list(entry) for entry in entries(client, stream)] == [
        ["outbox_id", "dedupe_key", "n", "zone_seq"]
    ]


def test_a_stream_is_trimmed_to_about_its_greatest_length(
    zone: Zone, client: redis.Redis, stream: str, settings: Any
) -> None:
    settings.STREAMS_HARD_MAXLEN = 100
    queue(zone.id, stream, *[{"n": n} for n in range(400)])
    publisher.publish(client)
    assert 100 <= client.xlen(stream) < 300


def test_a_poison_row_is_parked_alone_and_leaves_no_gap(
    zone: Zone, client: redis.Redis, stream: str
) -> None:
    _, poison, _ = queue(zone.id, stream, {"n": 1}, ["no", "object"], {"n": 3})
    publisher.publish(client)
    poison.refresh_from_db()
    assert poison.parked_at is not None
    assert poison.published_at is None
    assert "not an object" in (poison.last_error or "")
    assert [entry["n"] for entry in entries(client, stream)] == ["1", "3"]
    assert numbers(client, stream) == [1, 2]
    OutboxEvent.objects.filter(id=poison.id).delete()


def test_a_requeued_row_goes_out_last_and_the_requeue_is_recorded(
    zone: Zone, client: redis.Redis, stream: str, actor: Actor
) -> None:
    poison, _ = queue(zone.id, stream, ["no", "object"], {"n": 2})
    publisher.publish(client)
    OutboxEvent.objects.filter(id=poison.id).update(payload_json={"n": 1})
    services.requeue_parked([poison.id], actor=actor, reason="mended")
    publisher.publish(client)
    assert [entry["n"] for entry in entries(client, stream)] == ["2", "1"]
    assert numbers(client, stream) == [1, 2]
    audit = AdminAuditEvent.objects.get(zone_id=zone.id, entity_id=poison.id)
    assert audit.payload_json == {
        "event": "outbox.requeued",
        "outbox_ids": [poison.id],
        "reason": "mended",
    }


def test_only_a_writer_requeues_and_only_what_is_parked_where_it_may_look(
    zone: Zone, actor: Actor, stream: str
) -> None:
    (row,) = queue(zone.id, stream, {"n": 1})
    with pytest.raises(OutboxEventNotParked):
        services.requeue_parked([row.id], actor=actor, reason="why not")
    OutboxEvent.objects.filter(id=row.id).update(parked_at="2026-01-01T00:00:00Z")
    with pytest.raises(AdminTokenReadOnly):
        services.requeue_parked(
            [row.id], actor=replace(actor, can_write=False), reason="why not"
        )
    with pytest.raises(OutboxEventNotParked):
        services.requeue_parked(
            [row.id], actor=replace(actor, zone_id="elsewhere"), reason="why not"
        )
    services.requeue_parked(
        [row.id], actor=replace(actor, zone_id=zone.id), reason="own zone"
    )


def test_an_outage_counts_against_no_row_and_recovery_is_immediate(
    zone: Zone, valkey: PrivateValkey, stream: str
) -> None:
    queue(zone.id, stream, {"n": 1}, {"n": 2})
    valkey.stop()
    for _ in range(15):
        with pytest.raises(redis.RedisError):
            publisher.publish(valkey.client)
    assert [(row.attempts, row.parked_at) for row in rows(zone)] == [(0, None)] * 2
    valkey.start()
    publisher.publish(valkey.client)
    assert numbers(valkey.client, stream) == [1, 2]


def test_an_outage_after_the_probe_delays_nothing_once_it_is_over(
    zone: Zone, valkey: PrivateValkey, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What other tests left goes first, or the run would die over that.
    publisher.publish(client)
    queue(zone.id, stream, {"n": 1}, {"n": 2})
    add = publisher._send

    def stop_and_send(client: redis.Redis, sent: list[publisher.Entry]) -> Any:
        valkey.stop()
        return add(client, sent)

    monkeypatch.setattr(publisher, "_send", stop_and_send)
    with pytest.raises(redis.RedisError):
        publisher.publish(valkey.client)
    monkeypatch.undo()
    assert [row.attempts for row in rows(zone)] == [1, 0]
    valkey.start()
    publisher.publish(valkey.client)
    assert numbers(valkey.client, stream) == [1, 2]


def test_a_stream_that_refuses_holds_its_zone_in_order_and_no_other(
    zone: Zone, client: redis.Redis, stream: str
) -> None:
    client.set(stream, "not a stream")
    other, open_stream = new_id(), f"{stream}.open"
    queue(zone.id, open_stream, {"n": 1})
    (blocked,) = queue(zone.id, stream, {"n": 2})
    queue(zone.id, open_stream, {"n": 3})
    queue(other, open_stream, {"n": 4})
    waits = []
    for _ in range(8):
        outcome = publisher.publish(client)
        blocked.refresh_from_db()
        waits.append(seconds_to_wait(zone))
        EventHead.objects.filter(zone_id=zone.id).update(retry_at=blocked.created_at)
    assert "WRONGTYPE" in (blocked.last_error or "")
    assert "WRONGTYPE" in outcome.error
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    assert blocked.parked_at is None
    sent = {entry["n"] for entry in entries(client, open_stream)}
    assert sent == {"1", "4"}
    client.delete(stream)
    publisher.publish(client)
    assert numbers(client, stream) == [2]
    assert [e["n"] for e in entries(client, open_stream) if e["zone_seq"] == "3"] == [
        "3"
    ]
    client.delete(open_stream)


def seconds_to_wait(zone: Zone) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ceil(extract(epoch FROM retry_at - clock_timestamp()))"
            " FROM event_heads WHERE zone_id = %s",
            [zone.id],
        )
        return int(cursor.fetchone()[0])


def test_two_publishers_at_once_publish_each_row_once(
    zone: Zone, client: redis.Redis, stream: str, settings: Any
) -> None:
    settings.OUTBOX_BATCH_SIZE = 7
    zones = [zone.id, *[new_id() for _ in range(4)]]
    for zone_id in zones:
        queue(zone_id, stream, *[{"zone_id": zone_id, "n": n} for n in range(60)])
    together = threading.Barrier(3)

    def run() -> None:
        together.wait()
        publisher.publish(client)
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    publisher.publish(client)
    found = entries(client, stream)
    assert len(found) == 300
    for zone_id in zones:
        mine = [entry for entry in found if entry["zone_id"] == zone_id]
        assert [int(entry["n"]) for entry in mine] == list(range(60))
        assert [int(entry["zone_seq"]) for entry in mine] == list(range(1, 61))


def test_a_zone_another_run_works_on_is_left_to_it(
    zone: Zone, client: redis.Redis, stream: str
) -> None:
    queue(zone.id, stream, {"n": 1})
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with held(LockClass.OUTBOX_ZONE, zone.id):
            entered.set()
            leave.wait(10)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait(10)
    publisher.publish(client)
    assert entries(client, stream) == []
    leave.set()
    thread.join()
    publisher.publish(client)
    assert numbers(client, stream) == [1]


def test_numbers_are_committed_before_anything_goes_out(
    zone: Zone, client: redis.Redis, stream: str
) -> None:
    queue(zone.id, stream, {"n": 1})
    with transaction.atomic(), pytest.raises(RuntimeError):
        publisher.publish(client)
    assert entries(client, stream) == []
    publisher.publish(client)


def test_a_backlog_goes_out_in_good_time(
    zone: Zone, client: redis.Redis, stream: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO event_outbox (id, producer, zone_id, topic, dedupe_key,"
            " payload_json, request_id) SELECT %s || n, 'coordinator', %s, %s, n,"
            " jsonb_build_object('event', 'spawn', 'n', n), ''"
            " FROM generate_series(1, 5000) AS n",
            [new_id(), zone.id, stream],
        )
    started = time.monotonic()
    outcome = publisher.publish(client)
    assert outcome.handled >= 5000
    assert time.monotonic() - started < 15
    assert numbers(client, stream) == list(range(1, 5001))


def test_the_task_reports_what_it_did(
    zone: Zone, client: redis.Redis, stream: str
) -> None:
    queue(zone.id, stream, {"n": 1})
    assert publish_outbox().handled >= 1
    assert numbers(client, stream) == [1]


def test_a_run_stays_awake_for_what_comes_next(
    zone: Zone, client: redis.Redis, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "QUIET_SECONDS", 3.0)
    queue(zone.id, stream, {"n": 1})
    done: list[int] = []

    def run() -> None:
        done.append(publisher.publish_while_busy(client).handled)
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    client.xread({stream: "0"}, block=10_000)
    queue(zone.id, stream, {"n": 2})
    thread.join()
    assert numbers(client, stream) == [1, 2]
    assert done[0] >= 2


def test_one_run_at_a_time_stays_awake(
    zone: Zone, client: redis.Redis, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "QUIET_SECONDS", 1_000.0)
    queue(zone.id, stream, {"n": 1})
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with held(LockClass.JOB, publisher.AWAKE):
            entered.set()
            leave.wait(60)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait(10)
    started = time.monotonic()
    assert publisher.publish_while_busy(client, seconds=30).handled >= 1
    leave.set()
    thread.join()
    assert time.monotonic() - started < 20
    assert numbers(client, stream) == [1]


def test_a_run_that_goes_while_there_is_news_calls_the_next(
    zone: Zone, client: redis.Redis, stream: str
) -> None:
    queue(zone.id, stream, {"n": 1})
    client.delete(WORKERS)
    assert publisher.publish_while_busy(client, seconds=0).handled >= 1
    called: Any = client.blpop([WORKERS], timeout=10)
    assert called is not None, "nobody takes over"
    assert nudge.TASK.encode() in called[1]


def test_only_old_published_rows_are_pruned(zone: Zone, stream: str) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    old, parked, pending, recent = (
        queue(zone.id, stream, {}, id=f"{first_id_at(long_ago)}-{n}-{zone.id}")[0]
        for n in range(4)
    )
    mine = OutboxEvent.objects.filter(zone_id=zone.id)
    mine.update(created_at=long_ago)
    mine.filter(id=old.id).update(published_at=long_ago)
    mine.filter(id=parked.id).update(parked_at=long_ago)
    mine.filter(id=recent.id).update(published_at=timezone.now())
    assert prune_outbox().handled >= 1
    assert {row.id for row in rows(zone)} == {parked.id, pending.id, recent.id}
    mine.delete()
