"""Evidence as files: what the database writes is what the platform would write."""
# ruff: noqa: RUF001

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from audit.api.views import CHANGES, DECISIONS
from audit.models import AdminAuditEvent, AuditEvent
from audit.tests.factories import happen
from caracal_site.api import copying, exports
from caracal_site.api.pagination import Listing, question, read_batches
from caracal_site.ids import new_id

START = datetime(2026, 5, 1, tzinfo=UTC)
# What spreadsheets compute, or take for something else than text, by their own rules.
FORMULAS = [
    *(f"{sign}1+1" for sign in "=+-@"),
    *("=cmd|' /C calc'!A0", "@SUM(1)", "-2+3", "+41 79", '=1+1";=2', "\t=1", "\r=1"),
    *("\n=1", "＝1+1", "＋1", "－1", "＠SUM(1)", '=HYPERLINK("http://x","y")'),
    *('=IMPORTXML(CONCAT("a",A1),"//a")', '=DDE("cmd";"/C calc";"x")'),
    *("--1", "=-1", "@@", "=\u00a01", "-", "=", "+", "@", "=A1:B2", "{=1}", "%0A=1"),
    *("'=1", "''=1", '"=1', '""=1', " =1", ";=1", "=1\r\n=2", "a\r\n=2", "a\n=2"),
    *("a,=2", 'a"=2', "a;=2", "a\t=2", "1,2", "1;2", '"', '""', '"""', ",", "\n"),
    *("=cmd|'/C calc'!A1", "+cmd|'/C calc'!A1", "-cmd|'/C'!A1", "@cmd|'/C'!A1"),
    *("\r", "\r\n", '="a"&"b"', "=1e5", "-1e5", "+1.5", '=RTD("x")', "=WEBSERVICE(1)"),
]
values = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
    | st.sampled_from([*FORMULAS, "Bearer abc", "cat_0123456789abcdef0", "a b", "[a"])
)
cells = (
    values
    | st.lists(values, max_size=3)
    | st.dictionaries(st.sampled_from(["secret", "a", "Token"]), values, max_size=2)
)


def by_database(listing: Listing, rows: Any, query: str = "") -> bytes:
    asked = question(listing, path="", query=QueryDict(query)).in_a_table
    return b"".join(exports.csv_by_database(asked, rows))


def by_hand(listing: Listing, rows: Any, query: str = "") -> bytes:
    asked = question(listing, path="", query=QueryDict(query)).in_a_table
    return b"".join(exports.csv_lines(asked.members, read_batches(asked, rows, 7)))


def decide(zone_id: str, nth: int = 0, **fields: Any) -> None:
    AuditEvent.objects.create(
        zone_id=zone_id,
        **{
            "event_type": "token_exchange",
            "occurred_at": START + timedelta(milliseconds=nth),
            **fields,
        },
    )


@given(
    st.dictionaries(
        st.sampled_from(["reason", "agent_labels", "requested_scopes", "resource"]),
        cells,
    )
    | st.lists(values, max_size=2)
    | values,
    values.filter(lambda value: value is None or isinstance(value, str)),
)
def test_the_database_writes_what_the_platform_would(
    metadata: Any, request_id: Any
) -> None:
    zone_id = new_id()
    if isinstance(metadata, (dict, type(None))):
        decide(zone_id, metadata_json=metadata, request_id=request_id)
    rows = AuditEvent.objects.filter(zone_id=zone_id)
    assert by_database(DECISIONS, rows) == by_hand(DECISIONS, rows)


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_would_compute_opens_inert_and_is_told_whole(
    text: str,
) -> None:
    zone_id = new_id()
    decide(zone_id, request_id=text, metadata_json={"reason": text})
    decide(zone_id, 1, request_id="after", metadata_json={"reason": "plain"})
    written = by_database(DECISIONS, AuditEvent.objects.filter(zone_id=zone_id))
    after, first = csv.DictReader(StringIO(written.decode(), newline=""))
    assert after["request_id"] == "after"
    for cell in (first["request_id"], first["reason"]):
        assert cell.removeprefix("'") == text.removeprefix("'") or cell == text
        assert not cell.startswith(exports.FORMULA)


def test_a_file_of_many_spans_has_every_row_once(monkeypatch: Any) -> None:
    monkeypatch.setattr(copying, "SPAN", 10)
    zone_id = new_id()
    for nth in range(35):
        # Several rows a moment, so that spans end between equals.
        decide(
            zone_id, nth // 4, metadata_json={"reason": f"=r{nth}" if nth % 3 else "r"}
        )
    rows = AuditEvent.objects.filter(zone_id=zone_id)
    for query in ("", "ordering=occurred_at", "fields=id,reason"):
        assert by_database(DECISIONS, rows, query) == by_hand(DECISIONS, rows, query)
    assert by_database(DECISIONS, rows).count(b"\r\n") == 36


def test_an_empty_file_has_its_heading() -> None:
    rows = AuditEvent.objects.none()
    rows = AuditEvent.objects.filter(zone_id=new_id())
    assert by_database(DECISIONS, rows, "fields=id,reason") == b"id,reason\r\n"


def test_changes_are_written_alike() -> None:
    zone_id = new_id()
    happen(zone_id, times=3)
    rows = AdminAuditEvent.objects.filter(zone_id=zone_id)
    assert by_database(CHANGES, rows) == by_hand(CHANGES, rows)
    assert by_database(CHANGES, rows).count(b"\r\n") == 4


@pytest.mark.parametrize(
    "reason", ["Bearer abcdef", "x eyJhbGciOiJ9.e30.sig", "cat_" + "a" * 32]
)
def test_credentials_in_a_cell_are_redacted(reason: str) -> None:
    zone_id = new_id()
    decide(zone_id, metadata_json={"reason": reason})
    written = by_database(DECISIONS, AuditEvent.objects.filter(zone_id=zone_id))
    assert b"[redacted]" in written
    assert reason.encode() not in written


def plan(query: str, zone_id: str) -> str:
    asked = question(DECISIONS, path="", query=QueryDict(query))
    rows = asked.rows(AuditEvent.objects.filter(zone_id=zone_id))[:201]
    return rows.explain()


@pytest.fixture(scope="module")
def crowded() -> str:
    """A zone with a few thousand decisions."""
    from django.db import connection

    zone_id = new_id()
    AuditEvent.objects.bulk_create(
        [
            AuditEvent(
                zone_id=zone_id,
                event_type=f"type-{nth % 40}",
                decision="deny" if nth % 50 == 0 else "allow",
                request_id=f"req-{nth}",
                metadata_json={
                    "application_id": f"app-{nth % 40}",
                    "agent_session_id": f"agent-{nth % 400}",
                    "session_id": f"session-{nth % 400}",
                    "agent_labels": [f"l{nth % 1000}"],
                },
            )
            for nth in range(6_000)
        ],
        batch_size=1_000,
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE audit_events")
    return zone_id


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("decision=deny", "decision"),
        ("event_type=type-3", "event_type"),
        ("application_id=app-3", "application_id"),
        ("agent_session_id=agent-3", "agent_session_id"),
        ("session_id=session-3", "session_id"),
        ("label=l3", "agent_labels"),
        ("request_id=req-3", "request_id"),
    ],
)
def test_every_filter_has_its_index(crowded: str, query: str, index: str) -> None:
    found = plan(query, crowded)
    condition = [line for line in found.splitlines() if "Index Cond" in line]
    assert any(index in line for line in condition), found
    assert "Seq Scan on audit_events_y" not in found


def test_a_filter_by_metadata_finds_text_alone() -> None:
    zone_id = new_id()
    decide(zone_id, metadata_json={"application_id": "7"})
    decide(zone_id, 1, metadata_json={"application_id": "8"})
    asked = question(DECISIONS, path="", query=QueryDict("application_id=7"))
    rows = asked.rows(AuditEvent.objects.filter(zone_id=zone_id))
    assert [json.dumps(row["metadata_json"]) for row in rows] == [
        '{"application_id": "7"}'
    ]
