"""Decisions of other producers: taken once by their id, or seen in the quarantine."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import redis

from audit.ledger import ingesting, wire
from audit.models import AuditEvent, AuditQuarantine
from audit.tests.factories import private_valkey
from audit.tests.test_ledger import seal, verified
from caracal_site.ids import new_id
from zones.models import Zone

KEY = bytes(range(32))
VECTOR = (
    '{"id":"evt-2","zone_id":"zone-1","event_type":"gateway_resource_request",'
    '"request_id":"req-1","decision":"allow","evaluation_status":"complete",'
    '"determining_policies_json":[],"diagnostics_json":[],'
    '"occurred_at":"2026-05-21T12:00:01Z"}'
)


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with private_valkey() as running:
        yield running


@pytest.fixture
def client(server: Any, settings: Any) -> redis.Redis:
    settings.AUDIT_INGEST_HMAC_KEYS = [KEY.hex()]
    server.client.flushall()
    return server.client


def event(zone_id: str, **more: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "zone_id": zone_id,
        "event_type": "gateway_resource_request",
        "request_id": "req-1",
        "decision": "allow",
        "evaluation_status": "executed",
        "determining_policies_json": [],
        "diagnostics_json": None,
        "metadata_json": {"resource": "resource://api"},
        "occurred_at": datetime.now(UTC).isoformat(),
        **more,
    }


def send(client: redis.Redis, body: Any, *, key: bytes = KEY, **fields: Any) -> str:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    sig = hmac.new(key, data, hashlib.sha256).hexdigest()
    sent: Any = {"id": "x", "data": data, "sig": sig, **fields}
    return client.xadd(ingesting.STREAM, sent).decode()


def quarantined(source_id: str) -> str:
    return AuditQuarantine.objects.get(source_id=source_id).reason


def pending(client: redis.Redis) -> int:
    return client.xpending(ingesting.STREAM, ingesting.GROUP)["pending"]


def test_the_contracts_signature_holds() -> None:
    data = VECTOR.encode()
    sig = "c48571b5cc7399845405473188a01347ff432edc1105ca5a379ac92cfbe1cd86"
    assert len(data) == 234
    assert wire.verify(data, sig, [KEY])
    assert wire.verify(data, sig.upper(), [b"x" * 32, KEY])
    assert not wire.verify(data + b" ", sig, [KEY])
    assert not wire.verify(data, sig, [b"x" * 32])
    assert not wire.verify(data, "", [KEY])
    row = wire.decision(
        data, datetime(2026, 6, 1, tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
    )
    assert (row["id"], row["occurred_at"]) == ("evt-2", "2026-05-21T12:00:01+00:00")


def test_what_was_signed_before_a_key_was_replaced_is_taken(
    client: redis.Redis, zone: Zone, settings: Any
) -> None:
    before, after, never = (bytes([nth]) * 32 for nth in (1, 2, 3))
    settings.AUDIT_INGEST_HMAC_KEYS = [after.hex(), before.hex()]
    for key in (before, after):
        send(client, event(zone.id), key=key)
    place = send(client, event(zone.id), key=never)
    ingesting.ingest(client)
    assert AuditEvent.objects.filter(zone_id=zone.id).count() == 2
    assert quarantined(place) == "hmac_verify_failed"


def test_what_is_signed_is_taken_and_sealed(client: redis.Redis, zone: Zone) -> None:
    body = event(zone.id, extra="tolerated", request_id="a\0b")
    send(client, body)
    outcome = ingesting.ingest(client)
    assert (outcome.handled, outcome.error) == (1, "")
    row = AuditEvent.objects.get(id=body["id"])
    assert row.occurred_at.isoformat() == body["occurred_at"]
    assert (row.request_id, row.metadata_json) == ("ab", body["metadata_json"])
    assert row.diagnostics_json is None
    assert pending(client) == 0
    seal()
    assert verified(zone.id).rows == 1


def test_what_was_sent_before_the_first_start_counts(
    client: redis.Redis, zone: Zone
) -> None:
    for _ in range(3):
        send(client, event(zone.id))
    assert ingesting.ingest(client).handled == 3
    client.flushall()
    send(client, event(zone.id))
    assert ingesting.ingest(client).handled == 1
    assert AuditEvent.objects.filter(zone_id=zone.id).count() == 4


def test_the_same_decision_again_is_taken_once(client: redis.Redis, zone: Zone) -> None:
    body = event(zone.id, metadata_json={"b": 1, "a": [1.5, None]})
    shuffled = dict(reversed(body.items()))
    for one in (body, shuffled):
        send(client, one)
    assert not ingesting.ingest(client).error
    send(client, body)
    assert not ingesting.ingest(client).error
    assert AuditEvent.objects.filter(zone_id=zone.id).count() == 1


def test_another_text_under_a_known_id_is_seen(client: redis.Redis, zone: Zone) -> None:
    bodies = [event(zone.id) for _ in range(20)]
    for body in bodies:
        send(client, body)
        second = send(client, {**body, "decision": "deny"})
    ingesting.ingest(client)
    stored = AuditEvent.objects.filter(zone_id=zone.id)
    assert list(stored.values_list("decision", flat=True)) == ["allow"] * 20
    third = send(client, {**body, "occurred_at": "2026-11-01T00:00:00Z"})
    ingesting.ingest(client)
    assert quarantined(second) == quarantined(third) == "tamper_on_replay"
    assert AuditEvent.objects.get(id=body["id"]).decision == "allow"


def test_what_a_run_read_before_it_died_is_taken_by_the_next(
    client: redis.Redis, zone: Zone
) -> None:
    body = event(zone.id)
    send(client, body)
    client.xgroup_create(ingesting.STREAM, ingesting.GROUP, id="0")
    client.xreadgroup(ingesting.GROUP, ingesting.CONSUMER, {ingesting.STREAM: ">"})
    assert pending(client) == 1
    assert ingesting.ingest(client).handled == 1
    assert pending(client) == 0
    assert AuditEvent.objects.filter(id=body["id"]).exists()


def late(**span: int) -> str:
    return (datetime.now(UTC) + timedelta(**span)).isoformat()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": None}, "json_parse_error"),
        ({"id": "a b"}, "json_parse_error"),
        ({"id": "x" * 129}, "json_parse_error"),
        ({"zone_id": 7}, "json_parse_error"),
        ({"zone_id": "unknown"}, "unknown_zone"),
        ({"event_type": ""}, "json_parse_error"),
        ({"decision": "maybe"}, "json_parse_error"),
        ({"request_id": 5}, "json_parse_error"),
        ({"metadata_json": []}, "json_parse_error"),
        ({"determining_policies_json": {}}, "json_parse_error"),
        ({"occurred_at": None}, "json_parse_error"),
        ({"occurred_at": "yesterday"}, "json_parse_error"),
        ({"occurred_at": "0000-01-01T00:00:00Z"}, "json_parse_error"),
        ({"occurred_at": "0001-01-01T00:00:00+23:00"}, "json_parse_error"),
        ({"occurred_at": late(days=400)}, "occurred_in_the_future"),
        ({"occurred_at": late(days=-400)}, "occurred_too_long_ago"),
        ({"id": "ffffffff-ffff-7000-8000-000000000000"}, "occurred_in_the_future"),
    ],
)
def test_what_is_no_decision_is_seen_in_the_quarantine(
    client: redis.Redis, zone: Zone, change: dict[str, Any], reason: str
) -> None:
    good = event(zone.id)
    bad = send(client, {**event(zone.id), **change})
    send(client, good)
    assert "1 decisions went to the quarantine" in ingesting.ingest(client).error
    assert quarantined(bad) == reason
    assert AuditEvent.objects.filter(zone_id=zone.id).count() == 1
    [(_, dead)] = client.xrange(ingesting.DEAD_STREAM)
    assert dead[b"src_id"].decode() == bad
    assert dead[b"reason"].decode().startswith(reason)


def test_what_nobody_signed_is_seen_in_the_quarantine(
    client: redis.Redis, zone: Zone
) -> None:
    forged = send(client, event(zone.id), key=b"x" * 32)
    unsigned = client.xadd(
        ingesting.STREAM, {"data": orjson.dumps(event(zone.id))}
    ).decode()
    empty = client.xadd(ingesting.STREAM, {"sig": "00"}).decode()
    garbled = send(client, b"{\xff")
    ingesting.ingest(client)
    assert quarantined(forged) == quarantined(unsigned) == "hmac_verify_failed"
    assert quarantined(empty) == "missing_data_field"
    assert quarantined(garbled) in ("json_parse_error", "hmac_verify_failed")
    assert not AuditEvent.objects.filter(zone_id=zone.id).exists()
    assert pending(client) == 0


def test_a_key_that_is_being_replaced_still_counts(
    client: redis.Redis, zone: Zone, settings: Any
) -> None:
    settings.AUDIT_INGEST_HMAC_KEYS = [
        b"new key of 32 bytes for producer".hex(),
        KEY.hex(),
    ]
    send(client, event(zone.id))
    assert not ingesting.ingest(client).error


def test_nothing_is_trimmed_that_another_group_has_not_read(
    client: redis.Redis, zone: Zone
) -> None:
    client.xgroup_create(ingesting.STREAM, "siem-export", id="0", mkstream=True)
    for _ in range(300):
        send(client, event(zone.id))
    ingesting.ingest(client)
    assert client.xlen(ingesting.STREAM) == 300
    read = client.xreadgroup("siem-export", "c", {ingesting.STREAM: ">"}, count=300)
    ids: Any = [entry[0] for entry in read[0][1]]
    client.xack(ingesting.STREAM, "siem-export", *ids)
    send(client, event(zone.id))
    ingesting.ingest(client)
    assert client.xlen(ingesting.STREAM) < 300
