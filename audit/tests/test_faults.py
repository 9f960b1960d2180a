"""Tampering with a ledger among many rows. ``manage.py test --faults`` runs the long
form of these tests and of those of ``test_outages``: here, a ledger of a million rows.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from audit.keys import audit_key
from audit.ledger import content, heads, sealing, verifying
from audit.ledger.merkle import Tree
from audit.models import AuditChain
from audit.tests.faults import IS_LONG, say
from audit.tests.test_ledger import as_the_owner
from caracal_site import statements, stores
from caracal_site.ids import new_id

ROWS = 1_000_000 if IS_LONG else 2_000
DECISIONS = """
INSERT INTO audit_events (id, zone_id, event_type, decision, metadata_json, occurred_at)
SELECT %s || lpad(to_hex(n), 12, '0'), %s, 'token_exchange', 'deny',
    jsonb_build_object('nth', n, 'resource', 'resource://api'),
    now() - (%s - n) * interval '1 millisecond'
FROM generate_series(1, %s) AS n
"""


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
    say(f"{ROWS:,} rows sealed in {time.monotonic() - started:.1f} s")
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


def cut(cursor: Any, zone_id: str, seq: int) -> None:
    """Everything after ``seq`` goes, and the chain's end is where that leaves it: a
    dropped last row, or an older backup."""
    cursor.execute(
        "DELETE FROM audit_events WHERE id IN (SELECT event_id FROM audit_links"
        " WHERE zone_id = %s AND seq > %s)",
        [zone_id, seq],
    )
    cursor.execute(
        "DELETE FROM audit_links WHERE zone_id = %s AND seq > %s", [zone_id, seq]
    )
    settle(cursor, zone_id)


def rehash(cursor: Any, zone_id: str, seq: int) -> None:
    """Edits a row and seals everything again, with the key: what only whoever has it
    and the database can do."""
    edit(cursor, zone_id, seq)
    asked = {"id": event(cursor, zone_id, seq)}
    hashed = statements.load("audit/ledger_message")
    cursor.execute(f"SELECT {hashed} FROM audit_events AS e WHERE id = %(id)s", asked)  # noqa: S608
    edited = content.content_of(bytes(cursor.fetchone()[0]))
    cursor.execute(
        "SELECT seq, content FROM audit_links WHERE zone_id = %s AND seq BETWEEN %s"
        " AND %s",
        [zone_id, seq - 1, seq + 1],
    )
    around = {place: bytes(found) for place, found in cursor.fetchall()} | {seq: edited}
    for place in (seq, seq + 1):
        mac = content.mac_of(around[place], around[place - 1], audit_key())
        cursor.execute(
            "UPDATE audit_links SET content = %s, mac = %s"
            " WHERE zone_id = %s AND seq = %s",
            [around[place], mac, zone_id, place],
        )
    settle(cursor, zone_id)


def settle(cursor: Any, zone_id: str) -> None:
    """Has the chain's end say what its links now come to."""
    cursor.execute(
        "SELECT content FROM audit_links WHERE zone_id = %s ORDER BY seq", [zone_id]
    )
    tree, last = Tree(), b""
    for (found,) in cursor.fetchall():
        last = bytes(found)
        tree.add(last)
    AuditChain.objects.filter(zone_id=zone_id).update(
        seq=tree.size, content=last, peaks=b"".join(tree.peaks)
    )


class Undone(Exception):
    """Takes a tampering back."""


def undone(tamper: Callable[[Any], None]) -> None:
    """Runs ``tamper`` and what it finds, and takes it back."""

    def tampered() -> None:
        with as_the_owner() as cursor:
            tamper(cursor)
            raise Undone

    with pytest.raises(Undone):
        tampered()


def anywhere() -> int:
    return random.randint(2, ROWS - 10)  # noqa: S311 - not a secret


@pytest.mark.parametrize("tamper", [edit, drop, drop_with_its_link, swap])
def test_one_tampered_row_among_many_is_found_and_placed(
    ledger: str, tamper: Callable[[Any, str, int], set[int]]
) -> None:
    seq = anywhere()

    def tampered(cursor: Any) -> None:
        places = tamper(cursor, ledger, seq)
        found = verified(ledger)
        assert places <= {fault.seq for fault in found.faults}
        say(f"{tamper.__name__} at #{seq:,}: told {found.broken} times")

    undone(tampered)


@pytest.mark.parametrize("lost", [1, ROWS // 100], ids=["last row", "older backup"])
def test_an_end_that_is_gone_is_found_by_the_published_head(
    ledger: str, lost: int
) -> None:
    def tampered(cursor: Any) -> None:
        cut(cursor, ledger, ROWS - lost)
        (fault,) = verified(ledger).faults
        rows = "1 row is" if lost == 1 else f"{lost} rows are"
        told = f"{rows} missing at the end: it was published as {ROWS}"
        assert (fault.seq, fault.sentence) == (ROWS, told)
        say(f"cut after #{ROWS - lost:,}: {told}")
        alone = verifying.verify(ledger, ())
        assert (alone.broken, alone.head_known) == (0, False), "that is said instead"

    undone(tampered)


def test_a_ledger_sealed_again_with_the_key_is_found_between_two_heads(
    ledger: str,
) -> None:
    seq = anywhere()

    def tampered(cursor: Any) -> None:
        rehash(cursor, ledger, seq)
        (fault,) = verified(ledger).faults
        span = re.match(r"#(\d+) to #(\d+) are not the rows", fault.sentence)
        assert span is not None
        assert int(span[1]) <= seq <= int(span[2])
        say(f"rehash at #{seq:,}: {fault.sentence}")
        alone = verifying.verify(ledger, ())
        assert (alone.broken, alone.head_known) == (0, False), "that is said instead"

    undone(tampered)


def test_a_ledger_nobody_touched_is_intact(ledger: str) -> None:
    found = verified(ledger)
    assert (found.rows, found.broken, found.agreed) == (ROWS, 0, ROWS)
