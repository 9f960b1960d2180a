"""What becomes of news while Redis is away, is flushed or trims, and while publishers
die. ``manage.py test --faults`` runs the long form."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.conf import settings as configured
from django.db import connection

from audit import publisher
from audit.models import EventHead, OutboxEvent
from audit.tests.factories import PrivateValkey, entries, private_valkey
from audit.tests.faults import IS_LONG, say
from caracal_site import stores
from caracal_site.ids import new_id
from caracal_site.testing.world import World

KILLS = 100 if IS_LONG else 3
EVENTS_A_KILL = 200
# Ten minutes at 500 writes a second.
SECONDS_AWAY = 600 if IS_LONG else 4
WRITES_A_SECOND = 500
EVENTS = 20_000 if IS_LONG else 1_200
STREAM = "caracal.agents.lifecycle"
PUBLISH = """
import sys
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
import django
django.setup()
from audit import publisher
from caracal_site import stores
print("ready", flush=True)
while True:
    publisher.publish(stores.redis_client())
"""
WRITE = """
INSERT INTO event_outbox
    (id, producer, zone_id, topic, dedupe_key, payload_json, request_id)
SELECT
    %(prefix)s || '-' || n, 'coordinator',
    (%(zones)s::text[])[1 + n %% cardinality(%(zones)s::text[])], %(topic)s,
    %(prefix)s || ':' || n, jsonb_build_object('event', 'spawn', 'n', n), ''
FROM generate_series(1, %(rows)s) AS n
RETURNING id
"""


def write(zones: list[str], rows: int) -> list[str]:
    """Commits news of ``zones`` in turn; returns what was acknowledged."""
    asked = {"prefix": new_id(), "zones": zones, "topic": STREAM, "rows": rows}
    with connection.cursor() as cursor:
        cursor.execute(WRITE, asked)
        return [id_ for (id_,) in cursor.fetchall()]


def drain(client: redis.Redis, zones: list[str]) -> None:
    waiting = OutboxEvent.objects.filter(zone_id__in=zones).pending()
    until = time.monotonic() + 600
    while waiting.exists() and time.monotonic() < until:
        publisher.publish(client)
    assert not waiting.exists()


@pytest.fixture
def valkey() -> Iterator[PrivateValkey]:
    # What other tests have left is not for this server.
    publisher.publish(stores.redis_client())
    with private_valkey() as server:
        yield server


def numbered_densely_and_in_order(zones: list[str]) -> bool:
    return all(
        list(
            OutboxEvent.objects.filter(zone_id=zone)
            .order_by("position")
            .values_list("zone_seq", flat=True)
        )
        == list(range(1, OutboxEvent.objects.filter(zone_id=zone).count() + 1))
        for zone in zones
    )


def start_publisher(url: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PUBLISH, str(connection.settings_dict["NAME"])],
        env={**os.environ, "REDIS_URL": url},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_publisher_that_is_killed_again_and_again_loses_nothing(valkey: Any) -> None:
    """Kills fall anywhere in its work: what is written meanwhile goes out under its
    own number, whichever run brings it."""
    zones = [new_id() for _ in range(5)]
    acknowledged: set[str] = set()
    url = f"redis://127.0.0.1:{valkey.port}/0"
    for _ in range(KILLS):
        acknowledged.update(write(zones, EVENTS_A_KILL))
        process = start_publisher(url)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=random.uniform(0, 0.1))  # noqa: S311 - not a secret
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    by_the_dead = valkey.client.xlen(STREAM)
    drain(valkey.client, zones)
    told = entries(valkey.client, STREAM)
    rows = OutboxEvent.objects.filter(zone_id__in=zones)
    kept = set(rows.values_list("id", flat=True))
    counts = Counter(one["outbox_id"] for one in told if one["outbox_id"] in kept)
    say(
        f"publisher killed {KILLS} times: {len(acknowledged):,} acknowledged,"
        f" {len(kept):,} in PostgreSQL, {len(counts):,} in the stream"
        f" ({by_the_dead:,} entries by those killed, {counts.total() - len(counts):,}"
        " told twice under their own id)"
    )
    assert acknowledged == kept == set(counts)
    numbers = defaultdict(set)
    for one in told:
        numbers[one["outbox_id"]].add(one["zone_seq"])
    assert all(len(several) == 1 for several in numbers.values())
    assert numbered_densely_and_in_order(zones)


def test_what_is_written_while_redis_is_away_goes_out_in_order(
    valkey: PrivateValkey, settings: Any
) -> None:
    settings.STREAMS_HARD_MAXLEN = 10**7
    zones = [new_id() for _ in range(5)]
    valkey.stop()
    acknowledged: set[str] = set()
    refused = 0
    for _ in range(SECONDS_AWAY):
        acknowledged.update(write(zones, WRITES_A_SECOND))
        try:
            publisher.publish(valkey.client)
        except redis.RedisError:
            refused += 1
    assert refused == SECONDS_AWAY
    attempts = OutboxEvent.objects.filter(zone_id__in=zones, attempts__gt=0)
    assert not attempts.exists(), "an outage counts against no row"
    valkey.start()
    started = time.monotonic()
    drain(valkey.client, zones)
    seconds = time.monotonic() - started
    told = entries(valkey.client, STREAM)
    mine = [one for one in told if one["outbox_id"] in acknowledged]
    say(
        f"Redis away for {SECONDS_AWAY} s of {WRITES_A_SECOND} writes each:"
        f" {len(acknowledged):,} acknowledged, {len(mine):,} in the stream"
        f" {seconds:.0f} s after its return"
    )
    assert {one["outbox_id"] for one in mine} == acknowledged
    assert len(mine) == len(acknowledged), "each once"
    last: dict[str, int] = defaultdict(int)
    places = dict(
        OutboxEvent.objects.filter(zone_id__in=zones).values_list("id", "zone_id")
    )
    for one in mine:
        zone = places[one["outbox_id"]]
        assert int(one["zone_seq"]) == last[zone] + 1
        last[zone] += 1


class Consumer:
    """What the documentation tells a consumer to do: apply each number once, in order,
    and ask the feed for what a gap hides."""

    def __init__(self, world: World, client: redis.Redis) -> None:
        self.world, self.client = world, client
        self.applied: list[str] = []
        self.refilled = 0
        self.place = "0"

    @property
    def last(self) -> int:
        return len(self.applied)

    def read(self) -> None:
        found: Any = self.client.xrange(STREAM, min=f"({self.place}")
        for place, fields in found:
            self.place = place.decode()
            if fields[b"zone_id"].decode() == self.world.zone.id:
                number = int(fields[b"zone_seq"])
                self.refill(number - 1)
                self.apply(number, fields[b"outbox_id"].decode())

    def refill(self, until: int) -> None:
        while self.last < until:
            path = f"/events?wait=0&limit=500&after={self.last}"
            answer = self.world.get(path, token=configured.CARACAL_COORDINATOR_TOKEN)
            assert answer.status_code == 200, answer.text
            for item in answer.json()["items"]:
                if self.last < until:
                    self.refilled += 1
                    self.apply(item["zone_seq"], item["entry"]["outbox_id"])

    def apply(self, number: int, outbox_id: str) -> None:
        if number > self.last:
            assert number == self.last + 1
            self.applied.append(outbox_id)


@pytest.fixture
def consumer(world: World, valkey: PrivateValkey) -> Consumer:
    """A consumer of a zone whose beginnings are forgotten."""
    publisher.publish(valkey.client)
    OutboxEvent.objects.filter(zone_id=world.zone.id).delete()
    EventHead.objects.filter(zone_id=world.zone.id).delete()
    valkey.client.flushall()
    return Consumer(world, valkey.client)


def news(consumer: Consumer, rows: int) -> None:
    zone_id = consumer.world.zone.id
    for _ in range(max(1, rows // 400)):
        happen_in_bulk(zone_id, min(rows, 400))
        publisher.publish(consumer.client)


def happen_in_bulk(zone_id: str, rows: int) -> None:
    OutboxEvent.objects.bulk_create(
        [
            OutboxEvent(
                producer="coordinator",
                zone_id=zone_id,
                topic=STREAM,
                payload_json={"event": "spawn", "zone_id": zone_id, "nth": nth},
            )
            for nth in range(rows)
        ]
    )


def written_in(zone_id: str) -> list[str]:
    rows = OutboxEvent.objects.filter(zone_id=zone_id).order_by("zone_seq")
    return list(rows.values_list("id", flat=True))


def test_a_gap_that_a_flush_leaves_is_seen_and_refilled(consumer: Consumer) -> None:
    """W-17, W-20, W-23: what a consumer had not read when Redis lost everything."""
    news(consumer, 40)
    consumer.read()
    news(consumer, EVENTS)
    consumer.client.flushall()
    news(consumer, 40)
    consumer.read()
    written = written_in(consumer.world.zone.id)
    assert consumer.applied == written
    assert consumer.refilled == len(written) - 80
    say(
        f"Redis flushed: {len(written):,} written, {consumer.refilled:,} of them seen"
        f" as a gap and refilled, {consumer.last:,} applied in order"
    )


def test_a_gap_that_trimming_leaves_is_seen_and_refilled(
    consumer: Consumer, settings: Any
) -> None:
    """W-20, W-23: a consumer that was away while its stream grew too long."""
    settings.STREAMS_HARD_MAXLEN = 100
    news(consumer, 40)
    consumer.read()
    news(consumer, EVENTS)
    kept = consumer.client.xlen(STREAM)
    assert kept < EVENTS
    consumer.read()
    written = written_in(consumer.world.zone.id)
    assert consumer.applied == written
    assert consumer.refilled == len(written) - 40 - kept
    say(
        f"stream trimmed to {kept:,}: {len(written):,} written, {consumer.refilled:,}"
        f" of them seen as a gap and refilled, {consumer.last:,} applied in order"
    )
