"""The trail is append-only, chained, and its verifier finds what was done to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from audit import record, seals, verify
from audit.models import AdminAuditEvent, AuditEvent
from audit.tasks import seal_audit
from audit.tests.factories import ACTOR, Happened, happen
from caracal_site import stores
from caracal_site.ids import new_id
from zones.models import Zone


def sealed(zone_id: str | None) -> list[AdminAuditEvent]:
    seals.seal(stores.redis_client())
    return list(AdminAuditEvent.objects.in_zone(zone_id).order_by("chain_seq"))


def verified(zone_id: str) -> verify.Verified:
    heads = seals.published_heads(stores.redis_client())
    return verify.verify(zone_id, heads.get(zone_id))


@contextmanager
def without_triggers() -> Iterator[Any]:
    """What the owner of the tables can do that nobody else can."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE admin_audit_events DISABLE TRIGGER USER")
        yield cursor
        cursor.execute("ALTER TABLE admin_audit_events ENABLE TRIGGER USER")


def tamper(zone: Zone, change: str) -> None:
    """Applies an SQL change to rows of the zone; ``{zone}`` selects them."""
    with without_triggers() as cursor:
        cursor.execute(change.format(zone=f"zone_id = '{zone.id}'"))


def sentences(found: verify.Verified) -> list[tuple[int, str]]:
    return [(fault.seq, fault.sentence) for fault in found.faults]


def test_rows_get_dense_numbers_and_links_in_the_order_of_writing() -> None:
    zone_id = new_id()
    happen(zone_id, times=3)
    first, second, third = sealed(zone_id)
    assert [first.chain_seq, second.chain_seq, third.chain_seq] == [1, 2, 3]
    assert first.position < second.position < third.position
    assert first.prev_content_sha256 is None
    assert second.prev_content_sha256 == first.content_sha256
    assert third.prev_content_sha256 == second.content_sha256
    assert first.chain_hmac
    assert not verified(zone_id).faults


def test_what_belongs_to_no_zone_has_a_chain_of_its_own() -> None:
    happen(None, times=2)
    rows = sealed(None)
    assert [row.chain_seq for row in rows] == list(range(1, len(rows) + 1))
    assert not verify.verify(None, None).faults


def test_a_chain_goes_on_over_batches_and_runs(settings: Any) -> None:
    settings.AUDIT_SEAL_BATCH_SIZE = 2
    zone_id = new_id()
    happen(zone_id, times=5)
    sealed(zone_id)
    happen(zone_id, times=2)
    assert [row.chain_seq for row in sealed(zone_id)] == [1, 2, 3, 4, 5, 6, 7]
    found = verified(zone_id)
    assert (found.rows, found.unsealed, found.broken) == (7, 0, 0)
    assert found.head_known


def test_a_row_that_commits_late_is_linked_when_it_appears() -> None:
    zone_id = new_id()
    written, leave = threading.Event(), threading.Event()

    def slowly() -> None:
        with transaction.atomic():
            record.record(ACTOR, Happened(zone_id=zone_id, entity_id="slow"))
            written.set()
            leave.wait(10)
        connection.close()

    thread = threading.Thread(target=slowly)
    thread.start()
    written.wait(10)
    happen(zone_id)
    assert len(sealed(zone_id)) == 1
    leave.set()
    thread.join()
    assert [row.entity_id for row in sealed(zone_id)] == ["e0", "slow"]
    assert not verified(zone_id).faults


def test_two_sealers_at_once_make_one_chain() -> None:
    zone_id = new_id()
    happen(zone_id, times=50)
    together = threading.Barrier(3)

    def run() -> None:
        together.wait()
        seals.seal(stores.redis_client())
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row.chain_seq for row in sealed(zone_id)] == list(range(1, 51))
    assert not verified(zone_id).faults


def test_sealing_does_not_wait_for_redis() -> None:
    zone_id = new_id()
    happen(zone_id)
    seals.seal(stores.connect("redis://127.0.0.1:1/0"))
    assert AdminAuditEvent.objects.get(zone_id=zone_id).chain_seq == 1
    assert not verified(zone_id).head_known


def test_the_task_reports_what_it_did() -> None:
    happen(new_id())
    assert seal_audit().handled >= 1


def test_evidence_outside_a_transaction_is_refused() -> None:
    with pytest.raises(record.OutsideTransaction):
        record.record(ACTOR, Happened(zone_id=new_id(), entity_id="e"))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE admin_audit_events SET actor_name = 'nobody' WHERE {zone}",
        "UPDATE admin_audit_events SET chain_seq = chain_seq + 1 WHERE {zone}",
        "UPDATE admin_audit_events SET chain_seq = NULL WHERE {zone}",
        "UPDATE admin_audit_events SET payload_json = '{{}}' WHERE {zone}",
        "DELETE FROM admin_audit_events WHERE {zone}",
        "TRUNCATE admin_audit_events",
    ],
)
def test_a_sealed_row_cannot_be_changed_or_deleted(zone: Zone, change: str) -> None:
    happen(zone.id)
    sealed(zone.id)
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(change.format(zone=f"zone_id = '{zone.id}'"))


def test_sealing_a_row_changes_nothing_else_of_it() -> None:
    zone_id = new_id()
    happen(zone_id)
    change = AdminAuditEvent.objects.in_zone(zone_id)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        change.update(chain_seq=1, path="/elsewhere")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        change.update(content_sha256="0" * 64)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_events SET decision = 'allow' WHERE {zone}",
        "DELETE FROM audit_events WHERE {zone}",
        "TRUNCATE audit_events",
    ],
)
def test_the_ledger_of_decisions_only_grows(change: str) -> None:
    zone_id = new_id()
    AuditEvent.objects.create(zone_id=zone_id, event_type="token_exchange")
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(change.format(zone=f"zone_id = '{zone_id}'"))


RESEAL = (
    "UPDATE admin_audit_events SET chain_seq = NULL, content_sha256 = NULL,"
    " prev_content_sha256 = NULL, chain_hmac = NULL, actor_name = 'nobody'"
)


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (
            "UPDATE admin_audit_events SET actor_name = 'nobody'"
            " WHERE {zone} AND chain_seq = 2",
            [(2, "was altered after it was sealed")],
        ),
        (
            'UPDATE admin_audit_events SET payload_json = \'{{"event": "no"}}\''
            " WHERE {zone} AND chain_seq = 3",
            [(3, "was altered after it was sealed")],
        ),
        (
            "DELETE FROM admin_audit_events WHERE {zone} AND chain_seq = 1",
            [(2, "1 row is missing before it")],
        ),
        (
            "DELETE FROM admin_audit_events WHERE {zone} AND chain_seq IN (2, 3)",
            [(4, "2 rows are missing before it")],
        ),
        (
            "DELETE FROM admin_audit_events WHERE {zone} AND chain_seq = 4",
            [(4, "1 row is missing at the end: it was published as 4")],
        ),
        (
            "UPDATE admin_audit_events SET chain_hmac = NULL"
            " WHERE {zone} AND chain_seq = 2",
            [(2, "was sealed without the key")],
        ),
        (
            "DELETE FROM admin_audit_events WHERE {zone} AND chain_seq = 3;"
            "UPDATE admin_audit_events SET chain_seq = 3"
            " WHERE {zone} AND chain_seq = 4",
            [
                (3, "does not follow its predecessor"),
                (4, "1 row is missing at the end: it was published as 4"),
            ],
        ),
    ],
)
def test_the_verifier_finds(zone: Zone, change: str, faults: list[Any]) -> None:
    happen(zone.id, times=4 - len(sealed(zone.id)))
    sealed(zone.id)
    tamper(zone, change)
    assert sentences(verified(zone.id)) == faults


def test_the_verifier_finds_rows_that_changed_places(zone: Zone) -> None:
    happen(zone.id, times=3)
    sealed(zone.id)
    tamper(
        zone,
        "UPDATE admin_audit_events SET chain_seq = -chain_seq WHERE {zone};"
        "UPDATE admin_audit_events SET chain_seq = CASE chain_seq"
        " WHEN -1 THEN 2 WHEN -2 THEN 1 ELSE -chain_seq END WHERE {zone}",
    )
    assert (1, "does not follow its predecessor") in sentences(verified(zone.id))


def test_the_verifier_finds_an_end_that_was_rewritten_and_sealed_again(
    zone: Zone,
) -> None:
    happen(zone.id, times=2)
    last = len(sealed(zone.id))
    published = seals.published_heads(stores.redis_client())[zone.id]
    tamper(zone, f"{RESEAL} WHERE {{zone}} AND chain_seq = {last}")
    sealed(zone.id)
    assert sentences(verify.verify(zone.id, published)) == [
        (last, "is not the row that was published here")
    ]


def test_a_head_nobody_signed_is_not_believed(zone: Zone) -> None:
    happen(zone.id)
    sealed(zone.id)
    client = stores.redis_client()
    client.hset(seals.HEADS_KEY, zone.id, '[7,"00","00"]')
    assert zone.id not in seals.published_heads(client)


def test_the_command_tells_what_is_broken_and_fails(zone: Zone) -> None:
    happen(zone.id, times=2)
    sealed(zone.id)
    happen(zone.id)
    out = StringIO()
    call_command("verify_audit", zone=zone.id, stdout=out)
    assert "intact" in out.getvalue()
    assert "1 waiting" in out.getvalue()
    tamper(
        zone,
        "UPDATE admin_audit_events SET path = '/x' WHERE {zone} AND chain_seq = 1",
    )
    out = StringIO()
    with pytest.raises(CommandError, match="1 of 2 chains"):
        call_command("verify_audit", zone=zone.id, stdout=out)
    assert f"zone {zone.id}: BROKEN" in out.getvalue()
    assert "was altered after it was sealed" in out.getvalue()


def test_the_command_looks_at_every_chain() -> None:
    zone_id = new_id()
    happen(zone_id)
    happen(None)
    sealed(zone_id)
    heads = seals.published_heads(stores.redis_client())
    assert {zone_id, None} <= set(verify.chains(heads))
