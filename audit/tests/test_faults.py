"""Faults on purpose. ``manage.py test --faults`` runs the long form: a ledger of a
million rows, and the publisher killed a hundred times."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from audit import publisher
from audit.ledger import heads, sealing, verifying
from audit.models import AuditChain, OutboxEvent
from audit.tests.factories import entries, private_valkey
from audit.tests.test_ledger import as_the_owner
from caracal_site import stores
from caracal_site.ids import new_id

IS_LONG = os.environ.get("CARACAL_FAULTS") == "long"
ROWS = 1_000_000 if IS_LONG else 2_000
KILLS = 100 if IS_LONG else 3
EVENTS_A_KILL = 200
STREAM = "caracal.agents.lifecycle"
DECISIONS = """
INSERT INTO audit_events (id, zone_id, event_type, decision, metadata_json, occurred_at)
SELECT %s || lpad(to_hex(n), 12, '0'), %s, 'token_exchange', 'deny',
    jsonb_build_object('nth', n, 'resource', 'resource://api'),
    now() - (%s - n) * interval '1 millisecond'
FROM generate_series(1, %s) AS n
"""
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


def say(*told: object) -> None:
    if IS_LONG:
        print(*told, flush=True)  # noqa: T201 - counts are what the long form is for


def fill(rows: int) -> str:
    zone_id = new_id()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(DECISIONS, [new_id()[:24], zone_id, rows, rows])
    return zone_id


@pytest.fixture(scope="module")
def ledger() -> str:
    """A zone with a sealed and published ledger."""
    zone_id = fill(ROWS)
    started = time.monotonic()
    client = stores.redis_client()
    while not AuditChain.objects.filter(zone_id=zone_id, seq=ROWS).exists():
        sealing.seal(client)
    say(f"\n{ROWS:,} rows sealed in {time.monotonic() - started:.1f} s")
    return zone_id


def verified(zone_id: str) -> verifying.Verified:
    started = time.monotonic()
    published = heads.every_published(stores.redis_client())
    found = verifying.verify(zone_id, published.get(zone_id, ()))
    say(f"{found.rows:,} rows verified in {time.monotonic() - started:.1f} s")
    return found


def event(cursor: Any, zone_id: str, seq: int) -> str:
    cursor.execute(
        "SELECT event_id FROM audit_links WHERE zone_id = %s AND seq = %s",
        [zone_id, seq],
    )
    return cursor.fetchone()[0]


def edit(cursor: Any, zone_id: str, seq: int) -> set[int]:
    cursor.execute(
        "UPDATE audit_events SET metadata_json = jsonb_set(metadata_json, '{resource}',"
        " '\"resource://apj\"') WHERE id = %s",
        [event(cursor, zone_id, seq)],
    )
    return {seq}


def drop(cursor: Any, zone_id: str, seq: int) -> set[int]:
    cursor.execute(
        "DELETE FROM audit_events WHERE id = %s", [event(cursor, zone_id, seq)]
    )
    return {seq}


def drop_with_its_link(cursor: Any, zone_id: str, seq: int) -> set[int]:
    drop(cursor, zone_id, seq)
    cursor.execute(
        "DELETE FROM audit_links WHERE zone_id = %s AND seq = %s", [zone_id, seq]
    )
    return {seq + 1}


def swap(cursor: Any, zone_id: str, seq: int) -> set[int]:
    first, second = event(cursor, zone_id, seq), event(cursor, zone_id, seq + 7)
    cursor.execute(
        "UPDATE audit_events AS e SET metadata_json = o.metadata_json"
        " FROM audit_events AS o WHERE (e.id, o.id) IN ((%s, %s), (%s, %s))",
        [first, second, second, first],
    )
    return {seq, seq + 7}


class Undone(Exception):
    """Takes a tampering back."""


@pytest.mark.parametrize("tamper", [edit, drop, drop_with_its_link, swap])
def test_one_tampered_row_among_many_is_found_and_placed(
    ledger: str, tamper: Callable[[Any, str, int], set[int]]
) -> None:
    seq = random.randint(2, ROWS - 10)  # noqa: S311 - not a secret

    def tampered() -> None:
        with as_the_owner() as cursor:
            places = tamper(cursor, ledger, seq)
            found = verified(ledger)
            assert places <= {fault.seq for fault in found.faults}
            say(f"{tamper.__name__} at #{seq:,}: {found.broken} faults told")
            raise Undone

    with pytest.raises(Undone):
        tampered()


def test_a_ledger_nobody_touched_is_intact(ledger: str) -> None:
    found = verified(ledger)
    assert (found.rows, found.broken, found.agreed) == (ROWS, 0, ROWS)


@pytest.fixture
def valkey() -> Iterator[Any]:
    with private_valkey() as server:
        yield server


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


def write(zones: list[str], nth: int) -> None:
    OutboxEvent.objects.bulk_create(
        [
            OutboxEvent(
                producer="coordinator",
                zone_id=random.choice(zones),  # noqa: S311 - not a secret
                topic=STREAM,
                dedupe_key=f"{nth}:{one}",
                payload_json={"event": "spawn", "nth": nth},
            )
            for one in range(EVENTS_A_KILL)
        ]
    )


def test_a_publisher_that_is_killed_again_and_again_loses_nothing(valkey: Any) -> None:
    zones = [new_id() for _ in range(5)]
    url = f"redis://127.0.0.1:{valkey.port}/0"
    for nth in range(KILLS):
        write(zones, nth)
        process = start_publisher(url)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=random.uniform(0, 0.1))  # noqa: S311
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    mine = OutboxEvent.objects.filter(zone_id__in=zones)
    until = time.monotonic() + 120
    while mine.pending().exists() and time.monotonic() < until:
        publisher.publish(valkey.client)
    told = entries(valkey.client, STREAM)
    written = set(mine.values_list("id", flat=True))
    counts = Counter(one["outbox_id"] for one in told if one["outbox_id"] in written)
    say(f"{KILLS} kills, {len(written):,} written, {sum(counts.values()):,} in stream")
    assert set(counts) == written
    numbers = defaultdict(set)
    for one in told:
        numbers[one["outbox_id"]].add(one["zone_seq"])
    assert all(len(several) == 1 for several in numbers.values())
    for zone in zones:
        rows = mine.filter(zone_id=zone).order_by("position")
        assert [row.zone_seq for row in rows] == list(range(1, len(rows) + 1))
