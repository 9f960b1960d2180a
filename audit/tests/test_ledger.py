"""The ledger of decisions is sealed row by row, and what is done to it is found."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.ledger import content, heads, merkle, proofs, sealing, verifying
from audit.models import AuditChain, AuditEvent
from caracal_site import statements, stores
from caracal_site.ids import new_id

KEY = bytes(range(32))
STRANGERS = (
    "were sealed in another order or with no known key: is one that was replaced"
    " missing in AUDIT_HMAC_KEY_PREVIOUS?"
)
EDITS = "UPDATE audit_events SET decision = 'allow' WHERE id = '{0}'"


def decide(zone_id: str, times: int = 1, **fields: Any) -> list[str]:
    made = [
        AuditEvent(
            zone_id=zone_id,
            event_type="token_exchange",
            decision="deny",
            evaluation_status="complete",
            metadata_json={"resource": "resource://api", "nth": nth},
            **fields,
        )
        for nth in range(times)
    ]
    AuditEvent.objects.bulk_create(made)
    return [row.id for row in made]


def seal() -> None:
    outcome = sealing.seal(stores.redis_client())
    assert not outcome.error


def links(zone_id: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seq, event_id, content, mac FROM audit_links WHERE zone_id = %s"
            " ORDER BY seq",
            [zone_id],
        )
        return cursor.fetchall()


def verified(zone_id: str) -> verifying.Verified:
    published = heads.every_published(stores.redis_client())
    return verifying.verify(zone_id, published.get(zone_id, ()))


def said(found: verifying.Verified) -> list[tuple[int, str]]:
    return [(fault.seq, fault.sentence) for fault in found.faults]


@contextmanager
def as_the_owner() -> Any:
    """What the owner of the tables can do that nobody else can."""
    guarded = ("audit_events", "audit_links", "audit_tree_nodes")
    with transaction.atomic(), connection.cursor() as cursor:
        for table in guarded:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield cursor
        for table in guarded:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


@pytest.fixture
def ledger() -> tuple[str, list[str]]:
    """A zone with five sealed and published rows."""
    zone_id = new_id()
    ids = decide(zone_id, 5)
    seal()
    return zone_id, ids


def row(nth: int, zone_id: str = "zone-1") -> content.Row:
    rows = (
        content.Row(
            "evt-1",
            zone_id,
            "token_exchange",
            "req-1",
            "deny",
            None,
            "psv-2",
            "abc123",
            "complete",
            '[{"policy": "baseline"}]',
            '[{"reason": "no_rule_matched"}]',
            '{"resource": "resource://api", "latency_ms": 12,'
            ' "application_id": "app-1", "requested_scopes": ["a", "b"]}',
            datetime(2026, 5, 21, 12, 0, 0, 123456, UTC),
        ),
        content.Row(
            "evt-2",
            zone_id,
            "gateway_resource_request",
            "req-1",
            "allow",
            None,
            None,
            None,
            "complete",
            "[]",
            "[]",
            None,
            datetime(2026, 5, 21, 12, 0, 1, tzinfo=UTC),
        ),
    )
    return rows[nth]


def test_the_contracts_vectors_hold() -> None:
    first, second = (content.message(row(nth)) for nth in (0, 1))
    assert (len(first), len(second)) == (246, 92)
    one, two = content.content_of(first), content.content_of(second)
    assert one.hex() == (
        "54c92d71ef5c1b3c64e93401f72ea915609d9be48902871202ff6c434cfa84c4"
    )
    assert content.mac_of(one, None, KEY).hex() == (
        "7a647cfc9a4c949a99994212c535ab5b39366423f36d60cf3c67a5d2bd73b377"
    )
    assert two.hex() == (
        "7b9328ae334026024d528f5ff4bdb510e56dde51edf70226fc5b20951cabadca"
    )
    assert content.mac_of(two, one, KEY).hex() == (
        "45c3a6d9bd380bc8d08c54b12269207ee0a1777bec8f942be0c3722650883e0a"
    )


def test_the_contracts_vectors_hold_when_the_job_seals_them(settings: Any) -> None:
    settings.AUDIT_HMAC_KEY = KEY.hex()
    zone_id = new_id()
    decide(
        zone_id,
        request_id="req-1",
        policy_set_version_id="psv-2",
        manifest_sha="abc123",
        determining_policies_json=[{"policy": "baseline"}],
        diagnostics_json=[{"reason": "no_rule_matched"}],
        occurred_at=datetime(2026, 5, 21, 12, 0, 0, 123456, UTC),
    )
    seal()
    stored = AuditEvent.objects.get(zone_id=zone_id)
    expected = row(0, zone_id)._replace(
        id=stored.id, metadata_json='{"nth": 0, "resource": "resource://api"}'
    )
    hashed = content.content_of(content.message(expected))
    assert [tuple(map(bytes, link[2:])) for link in links(zone_id)] == [
        (hashed, content.mac_of(hashed, None, KEY))
    ]


texts = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), max_size=20
) | st.just("a\x1fb")
documents = st.none() | st.recursive(
    st.integers(-(10**15), 10**15) | st.booleans() | texts,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=40)
@given(
    texts,
    st.none() | texts,
    documents,
    st.datetimes(min_value=datetime(1960, 1, 1), max_value=datetime(2200, 1, 1)),
)
def test_database_and_verifier_hash_the_same_bytes(
    event_type: str, request_id: str | None, document: Any, at: datetime
) -> None:
    zone_id = new_id()
    made = AuditEvent.objects.create(
        zone_id=zone_id,
        event_type=event_type,
        request_id=request_id,
        metadata_json=document,
        occurred_at=at.replace(tzinfo=UTC),
    )
    hashed = statements.load("audit/ledger_message")
    text = f"SELECT {hashed}, metadata_json::text FROM audit_events AS e"  # noqa: S608
    asked = {"id": made.id}
    message, json_text = statements.fetch_text(f"{text} WHERE id = %(id)s", asked)
    told = content.Row(
        made.id,
        zone_id,
        event_type,
        request_id,
        *(None,) * 5,
        None,
        None,
        json_text,
        made.occurred_at,
    )
    assert bytes(message) == content.message(told)


def test_rows_get_dense_numbers_in_the_order_of_writing() -> None:
    zone_id = new_id()
    ids = decide(zone_id, 3)
    seal()
    ids += decide(zone_id, 2)
    seal()
    assert [(seq, event_id) for seq, event_id, *_ in links(zone_id)] == [
        (nth, id_) for nth, id_ in enumerate(ids, start=1)
    ]
    found = verified(zone_id)
    assert (found.rows, found.broken, found.agreed) == (5, 0, 5)


def test_a_batch_ends_wherever_it_may(settings: Any) -> None:
    settings.AUDIT_LEDGER_BATCH_SIZE = 7
    zone_id, other = new_id(), new_id()
    decide(zone_id, 20)
    decide(other, 20)
    seal()
    assert [seq for seq, *_ in links(zone_id)] == list(range(1, 21))
    assert not verified(zone_id).faults
    assert not verified(other).faults


def test_sealers_at_once_make_one_chain() -> None:
    zone_id = new_id()
    decide(zone_id, 50)
    together = threading.Barrier(3)

    def run() -> None:
        together.wait()
        sealing.seal(stores.redis_client())
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [seq for seq, *_ in links(zone_id)] == list(range(1, 51))


def test_a_row_that_commits_late_is_linked_when_it_appears() -> None:
    zone_id = new_id()
    written, leave = threading.Event(), threading.Event()

    def slowly() -> None:
        with transaction.atomic():
            decide(zone_id, request_id="slow")
            written.set()
            leave.wait(10)
        connection.close()

    thread = threading.Thread(target=slowly)
    thread.start()
    written.wait(10)
    decide(zone_id)
    seal()
    assert len(links(zone_id)) == 1
    leave.set()
    thread.join()
    seal()
    assert len(links(zone_id)) == 2
    assert not verified(zone_id).faults


def test_sealing_does_not_wait_for_redis() -> None:
    zone_id = new_id()
    decide(zone_id)
    sealing.seal(stores.connect("redis://127.0.0.1:1/0"))
    assert len(links(zone_id)) == 1
    assert not verified(zone_id).head_known
    decide(zone_id)
    seal()
    assert verified(zone_id).agreed == 2


def test_a_head_is_signed_and_published_when_a_zone_changed(
    ledger: tuple[str, list[str]],
) -> None:
    zone_id, _ = ledger
    known = heads.published(stores.redis_client(), [zone_id])[zone_id]
    assert known.tree_size == 5
    assert known.root_hash == proofs.root_at(zone_id, 5).hex()
    assert heads.verified(AuditChain.objects.get(zone_id=zone_id).head_json) == known


def test_a_head_nobody_signed_is_not_believed(ledger: tuple[str, list[str]]) -> None:
    zone_id, _ = ledger
    client = stores.redis_client()
    forged = orjson.loads(client.hget(heads.HEADS_KEY, zone_id)) | {"tree_size": 9}
    client.hset(heads.HEADS_KEY, zone_id, orjson.dumps(forged))
    assert zone_id not in heads.published(client, [zone_id])


def test_proofs_hold_across_kept_nodes() -> None:
    zone_id = new_id()
    decide(zone_id, 600)
    seal()
    contents = [bytes(link[2]) for link in links(zone_id)]
    root = proofs.root_at(zone_id, 600)
    for index in (0, 1, 255, 256, 511, 512, 599):
        path = proofs.inclusion(zone_id, index, 600)
        assert merkle.proves_inclusion(contents[index], index, 600, path, root)
    for first in (1, 255, 256, 257, 512, 599):
        path = proofs.consistency(zone_id, first, 600)
        old = proofs.root_at(zone_id, first)
        assert merkle.proves_consistency(first, 600, path, old, root)


Tamper = Callable[[Any, str, list[str]], None]


def edit(cursor: Any, zone_id: str, ids: list[str]) -> None:
    cursor.execute(EDITS.format(ids[2]))


def edit_a_byte_of_metadata(cursor: Any, zone_id: str, ids: list[str]) -> None:
    cursor.execute(
        "UPDATE audit_events SET metadata_json ="
        " jsonb_set(metadata_json, '{resource}', '\"resource://apj\"') WHERE id = %s",
        [ids[2]],
    )


def drop(cursor: Any, zone_id: str, ids: list[str]) -> None:
    cursor.execute("DELETE FROM audit_events WHERE id = %s", [ids[2]])


def drop_with_its_link(cursor: Any, zone_id: str, ids: list[str]) -> None:
    drop(cursor, zone_id, ids)
    cursor.execute("DELETE FROM audit_links WHERE event_id = %s", [ids[2]])


def swap(cursor: Any, zone_id: str, ids: list[str]) -> None:
    cursor.execute(
        "UPDATE audit_events AS e SET metadata_json = o.metadata_json"
        " FROM audit_events AS o WHERE (e.id, o.id) IN ((%s, %s), (%s, %s))",
        [ids[1], ids[3], ids[3], ids[1]],
    )


def swap_the_links(cursor: Any, zone_id: str, ids: list[str]) -> None:
    cursor.execute(
        "UPDATE audit_links SET seq = -seq WHERE event_id IN (%s, %s)",
        [ids[1], ids[3]],
    )
    cursor.execute(
        "UPDATE audit_links SET seq = 6 + seq WHERE zone_id = %s AND seq < 0",
        [zone_id],
    )


def put_in(cursor: Any, zone_id: str, ids: list[str]) -> None:
    cursor.execute(
        "INSERT INTO audit_events (id, zone_id, event_type) VALUES (%s, %s, 'x')",
        [new_id(), zone_id],
    )


ALTERED = "was altered after it was sealed"
SEALED = verifying.OUT_OF_CHAIN
NOT_PUBLISHED = "are not the rows that were published"


@pytest.mark.parametrize(
    ("tamper", "faults"),
    [
        (edit, [(3, ALTERED)]),
        (edit_a_byte_of_metadata, [(3, ALTERED)]),
        (drop, [(3, "is missing")]),
        (
            drop_with_its_link,
            [
                (4, "1 row is missing before it"),
                (5, f"#1 to #5 {NOT_PUBLISHED}"),
                (5, "does not have the tree that is noted"),
            ],
        ),
        (swap, [(2, ALTERED), (4, ALTERED)]),
        (
            swap_the_links,
            [
                (2, f"#2 to #5 {STRANGERS}"),
                (5, f"#1 to #5 {NOT_PUBLISHED}"),
                (5, "does not have the tree that is noted"),
            ],
        ),
        (put_in, [(0, "1 row is in the ledger that it was never told of")]),
    ],
)
def test_the_verifier_finds_and_places(
    ledger: tuple[str, list[str]], tamper: Tamper, faults: list[Any]
) -> None:
    with as_the_owner() as cursor:
        tamper(cursor, *ledger)
    assert said(verified(ledger[0])) == faults


def cut_the_end(cursor: Any, zone_id: str, ids: list[str], keep: int) -> None:
    """As a backup from before the rest was written would be."""
    cursor.execute("DELETE FROM audit_events WHERE id = ANY(%s)", [ids[keep:]])
    cursor.execute(
        "DELETE FROM audit_links WHERE zone_id = %s AND seq > %s", [zone_id, keep]
    )
    tree = merkle.Tree()
    kept = links(zone_id)
    for link in kept:
        tree.add(bytes(link[2]))
    AuditChain.objects.filter(zone_id=zone_id).update(
        seq=keep, content=bytes(kept[-1][2]), peaks=b"".join(tree.peaks)
    )


def test_a_cut_end_is_found_by_what_was_published(
    ledger: tuple[str, list[str]],
) -> None:
    zone_id, ids = ledger
    with as_the_owner() as cursor:
        cut_the_end(cursor, zone_id, ids, 4)
    missing = "1 row is missing at the end: it was published as 5"
    assert said(verified(zone_id)) == [(5, missing)]
    assert not verifying.verify(zone_id, ()).head_known


def test_an_older_backup_that_is_written_on_is_not_published_over_the_truth(
    ledger: tuple[str, list[str]],
) -> None:
    zone_id, ids = ledger
    with as_the_owner() as cursor:
        cut_the_end(cursor, zone_id, ids, 3)
    decide(zone_id, 4)
    outcome = sealing.seal(stores.redis_client())
    assert f"zone {zone_id} does not continue what was published" in outcome.error
    known = heads.published(stores.redis_client(), [zone_id])[zone_id]
    assert known.tree_size == 5
    assert (5, f"#1 to #5 {NOT_PUBLISHED}") in said(verified(zone_id))


def test_a_ledger_hashed_again_with_the_key_is_not_what_was_published() -> None:
    zone_id = new_id()
    ids = decide(zone_id, 3)
    seal()
    ids += decide(zone_id, 3)
    seal()
    with as_the_owner() as cursor:
        cursor.execute(EDITS.format(ids[4]))
        cursor.execute("DELETE FROM audit_links WHERE zone_id = %s", [zone_id])
        cursor.execute("DELETE FROM audit_chains WHERE zone_id = %s", [zone_id])
        for id_ in ids:
            cursor.execute(
                "INSERT INTO audit_unsealed (zone_id, event_id) VALUES (%s, %s)",
                [zone_id, id_],
            )
    sealing.seal(stores.redis_client())
    assert not verifying.verify(zone_id, ()).faults
    assert said(verified(zone_id)) == [(6, f"#4 to #6 {NOT_PUBLISHED}")]


def test_a_row_that_goes_before_it_is_sealed_is_said() -> None:
    zone_id = new_id()
    ids = decide(zone_id, 2)
    with as_the_owner() as cursor:
        cursor.execute("DELETE FROM audit_events WHERE id = %s", [ids[0]])
    assert "gone before" in sealing.seal(stores.redis_client()).error
    assert [event_id for _, event_id, *_ in links(zone_id)] == [ids[1]]
