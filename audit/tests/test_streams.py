"""Stream entries byte for byte (contract: audit-and-events.md 8)."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import streams
from audit.streams import OutboxRow

KEY = bytes(range(32))
ID = "0199a1b2-0000-7000-8000-00000000000"
REVOKE = "caracal.sessions.revoke"
GRANT_REVOKED = {
    "zone_id": "zone-1",
    "session_id": "sess-1",
    "reason": "grant_revoked",
    "grant_id": "grant-1",
}
GRANT_SIGNATURE = "c625a3928415a2a69c62eeda39f6849e12864ff38cfaba5ad8e039be00d532f5"


def row(
    topic: str, payload: object, *, producer: str, nth: int = 1, key: str | None = None
) -> OutboxRow:
    text = payload if isinstance(payload, str) else orjson.dumps(payload).decode()
    return OutboxRow(f"{ID}{nth}", "zone-1", producer, topic, key, text)


VECTORS = [
    (
        row(REVOKE, GRANT_REVOKED, producer="api"),
        "grant_id=grant-1\noutbox_id=0199a1b2-0000-7000-8000-000000000001\n"
        "reason=grant_revoked\nsession_id=sess-1\nzone_id=zone-1\n",
        142,
        GRANT_SIGNATURE,
    ),
    (
        row(
            "caracal.policy.invalidate",
            {
                "zone_id": "zone-1",
                "policy_set_id": "ps-1",
                "policy_set_version_id": "psv-2",
                "shadow_version_id": None,
            },
            producer="api",
            nth=2,
        ),
        "outbox_id=0199a1b2-0000-7000-8000-000000000002\npolicy_set_id=ps-1\n"
        "policy_set_version_id=psv-2\nzone_id=zone-1\n",
        135,
        "f559368247125291e2ac72edd690d3f837a7c30aa666c4e5ca8a981852ed88c5",
    ),
    (
        row(
            "caracal.agents.lifecycle",
            {
                "event": "spawn",
                "zone_id": "zone-1",
                "agent_session_id": "agent-1",
                "parent_id": None,
                "application_id": "app-1",
            },
            producer="coordinator",
            nth=3,
            key="spawn:agent-1",
        ),
        "agent_session_id=agent-1\napplication_id=app-1\ndedupe_key=spawn:agent-1\n"
        "event=spawn\noutbox_id=0199a1b2-0000-7000-8000-000000000003\n"
        "parent_id=null\nzone_id=zone-1\n",
        185,
        "36599e71eb9f2211af1fa25af11f8982120a850c538a40bc8d17366d825754c9",
    ),
    (
        row(
            "caracal.delegations.invalidate",
            {
                "event": "edge_expire",
                "zone_id": "zone-1",
                "affected_edges": 2,
                "edge_ids": ["edge-1", "edge-2"],
                "epoch": 42,
            },
            producer="coordinator",
            nth=4,
            key="edge_expire:zone-1:42",
        ),
        "affected_edges=2\ndedupe_key=edge_expire:zone-1:42\n"
        'edge_ids=["edge-1","edge-2"]\nepoch=42\nevent=edge_expire\n'
        "outbox_id=0199a1b2-0000-7000-8000-000000000004\nzone_id=zone-1\n",
        199,
        "533ffde46ff8cb6bb9fd9fa2f80e02430d549cf5a79456c7f5f5d320e78d5f06",
    ),
]


@pytest.mark.parametrize(("outbox", "lines", "size", "signature"), VECTORS)
def test_a_row_is_encoded_and_signed_as_the_contract_says(
    outbox: OutboxRow, lines: str, size: int, signature: str
) -> None:
    fields = streams.stream_fields(outbox)
    text = streams.canonical(outbox.topic, fields)
    assert text == f"{outbox.topic}\n{lines}".encode()
    assert len(text) == size
    assert streams.sign(outbox.topic, fields, KEY) == signature
    assert streams.verify(
        outbox.topic, dict(streams.signed(outbox.topic, fields, KEY)), KEY
    )


def test_the_leading_fields_come_first_in_the_producers_order() -> None:
    names = [name for name, _ in streams.stream_fields(VECTORS[2][0])]
    assert names[:2] == ["outbox_id", "dedupe_key"]
    assert streams.stream_fields(VECTORS[0][0])[0][0] == "outbox_id"


def test_absent_values_and_stale_signatures_are_not_signed() -> None:
    fields = [
        ("zone_id", "zone-1"),
        ("session_id", "sess-é=1"),
        ("reason", ""),
        ("flag", "true"),
        ("count", "7"),
        ("skip", None),
        ("_sig", "ffff"),
    ]
    signature = "3fdf6380bc94bd1fb51fdc9bd6dbb2741f87e0873044080c301e8b3ba6eea0e8"
    assert streams.sign(REVOKE, fields, KEY) == signature


def test_flags_and_numbers_of_the_api_are_plain_text_and_its_nulls_are_left_out() -> (
    None
):
    payload = {"flag": True, "off": False, "count": 7, "share": 0.5, "no": None}
    fields = streams.stream_fields(row("t", payload, producer="api"))
    assert dict(fields[1:]) == {
        "flag": "true",
        "off": "false",
        "count": "7",
        "share": "0.5",
    }


@pytest.mark.parametrize(
    ("stream", "fields", "signature"),
    [
        (
            REVOKE,
            {**GRANT_REVOKED, "outbox_id": f"{ID}1", "zone_id": "zone-2"},
            "4c4cc82e6c9ebe622bdbd6c188897366671585688ad8d3efa613391e443f2de8",
        ),
        (
            "caracal.policy.invalidate",
            {**GRANT_REVOKED, "outbox_id": f"{ID}1"},
            "cd3924dd130c522d4203273015a925f3ecdf0baec3385d99d7dbe80e6c95419a",
        ),
    ],
)
def test_another_field_or_stream_does_not_verify(
    stream: str, fields: dict[str, str], signature: str
) -> None:
    assert streams.sign(stream, fields.items(), KEY) == signature
    assert not streams.verify(stream, {**fields, "_sig": GRANT_SIGNATURE}, KEY)
    assert streams.verify(stream, {**fields, "_sig": signature}, KEY)


@pytest.mark.parametrize(
    ("fields", "signature"),
    [
        (
            {"action": "transfer", "amount": "100"},
            "c06ccc579e026c31a97a04f203981b236a3c88041712e9b46242e8762da23d75",
        ),
        (
            {"action": "transfer", "extra": None, "_sig": "old"},
            "93c82e377fc1ff7f1430549aa20cd20971150173b5996308ab84cb48d6f2683d",
        ),
        (
            {"active": "true", "count": "0", "name": ""},
            "dd36b85d880107b52155410569f95436acd8b5a656bba83e37c4b0196fb32ae1",
        ),
    ],
)
def test_the_published_interoperability_fixtures_hold(
    fields: dict[str, str | None], signature: str
) -> None:
    key = bytes.fromhex("0123456789abcdef" * 4)
    assert streams.sign("audit:events", fields.items(), key) == signature


@pytest.mark.parametrize("found", [None, "", "nothex", GRANT_SIGNATURE[:-2], "é" * 64])
def test_a_missing_or_malformed_signature_is_invalid(found: str | None) -> None:
    fields = {**GRANT_REVOKED, "outbox_id": f"{ID}1"}
    if found is not None:
        fields["_sig"] = found
    assert not streams.verify(REVOKE, fields, KEY)


def test_a_payload_cannot_take_the_place_of_the_publishers_own_fields() -> None:
    payload = dict.fromkeys(("outbox_id", "dedupe_key", "_sig", "zone_seq"), "forged")
    fields = streams.stream_fields(row("t", payload, producer="coordinator", key="k:1"))
    assert fields == [("outbox_id", f"{ID}1"), ("dedupe_key", "k:1")]
    assert streams.numbered(fields, 12)[-1] == ("zone_seq", "12")


@pytest.mark.parametrize(
    "poison",
    [
        row("t", [1, 2], producer="coordinator"),
        row("t", '"text"', producer="api"),
        row("t", "not json", producer="api"),
        row("", {}, producer="api"),
        row("two\nlines", {}, producer="api"),
        row("t", {"a=b": "1"}, producer="coordinator"),
        row("t", {"a\nb": "1"}, producer="coordinator"),
    ],
)
def test_what_is_no_event_cannot_be_encoded(poison: OutboxRow) -> None:
    with pytest.raises(streams.Unencodable):
        streams.stream_fields(poison)


VALUES = st.one_of(st.text(), st.none(), st.booleans(), st.integers(-9, 9))
PAYLOADS = st.dictionaries(st.from_regex(r"[a-z_]{1,6}", fullmatch=True), VALUES)


@given(PAYLOADS, PAYLOADS)
def test_two_events_sign_alike_only_when_they_are_alike(
    one: dict[str, object], other: dict[str, object]
) -> None:
    fields, others = (
        streams.stream_fields(row("t", payload, producer="coordinator", key="k"))
        for payload in (one, other)
    )
    same = streams.canonical("t", fields) == streams.canonical("t", others)
    assert same == (dict(fields) == dict(others))
