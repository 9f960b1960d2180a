"""The hash chain byte for byte (contract: audit-and-events.md 3.3)."""

from __future__ import annotations

from datetime import UTC, datetime

from audit import chain

KEY = bytes(range(32))
PATH = "/v1/zones/z1/applications/app-1"
PAYLOAD = '{"rls_mode":"control_plane_wildcard","rls_zone_guc":"*"'
FIRST = chain.Content(
    id="0199a1b2-0000-7000-8000-0000000000a1",
    request_id="req-1",
    actor_id="tok-1",
    actor_name="operator",
    actor_scope="global",
    action=f"PATCH {PATH}",
    method="PATCH",
    path=PATH,
    zone_id="z1",
    entity_type="applications",
    entity_id="app-1",
    status_code=200,
    payload=PAYLOAD + ',"changed_fields":["name"]}',
    occurred_at=datetime(2026, 5, 2, tzinfo=UTC),
)
SECOND = FIRST._replace(
    id="0199a1b2-0000-7000-8000-0000000000a2",
    request_id="req-2",
    actor_id=None,
    actor_name=None,
    actor_scope=None,
    status_code=401,
    payload=PAYLOAD + "}",
    occurred_at=datetime(2026, 5, 2, 0, 0, 1, 250_000, tzinfo=UTC),
)
FIRST_CONTENT = "86625e9734118bd44214325205bbc2f7d550242e7be28f0f191eb697e0431d51"


def test_the_worked_chain_of_the_contract_comes_out() -> None:
    first = chain.following(None, FIRST, KEY)
    assert first == chain.Link(
        1,
        FIRST_CONTENT,
        None,
        "4c381a0a048953ace9511edd97fe02b678bde255a2051277b492b35551cc2cdb",
    )
    assert chain.following(first, SECOND, KEY) == chain.Link(
        2,
        "7376651404bd864c987e582b315d540b98e6244906688f384b41a27e110bf950",
        FIRST_CONTENT,
        "72c5c62e3b2e69596a01e4e823a579fc09396d25fcea4deec3c752721ff7d355",
    )


def test_without_a_key_there_is_no_mac() -> None:
    assert chain.following(None, FIRST, b"").mac is None


def test_the_order_the_database_keeps_keys_in_does_not_matter() -> None:
    stored = '{"b": {"y": 1, "x": [2, 1]}, "a": "é"}'
    assert chain.canonical_payload(stored) == '{"a":"é","b":{"x":[2,1],"y":1}}'
    assert chain.canonical_payload(None) is None


def test_text_cannot_move_from_one_column_to_the_next() -> None:
    moved = FIRST._replace(entity_type=f"applications{chain.DIVIDER}app", entity_id="1")
    other = FIRST._replace(entity_type="applications", entity_id=f"app{chain.DIVIDER}1")
    assert chain.content_sha256(moved) != chain.content_sha256(other)
