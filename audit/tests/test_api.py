"""Reading evidence over the Management API."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import orjson
import pytest

from audit import seals
from audit.api import shapes
from audit.models import AuditEvent
from audit.tests.factories import happen
from caracal_site import stores
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, refusal
from zones.models import Zone

START = datetime(2026, 5, 1, 10, tzinfo=UTC)


def decide(zone: Zone, nth: int, **fields: Any) -> AuditEvent:
    """The ``nth`` decision of a zone, a second after the one before."""
    metadata = {
        "application_id": f"app-{nth % 2}",
        "agent_session_id": f"agent-{nth}",
        "session_id": f"session-{nth}",
        "agent_labels": ["red"] if nth < 3 else ["blue", "two words"],
        "nested": [{"Access_Token": "hide", "shown": nth}],
    }
    values: dict[str, Any] = {
        "zone_id": zone.id,
        "event_type": "token_exchange" if nth % 2 else "replay_detected",
        "request_id": f"req-{nth // 2}",
        "decision": ("allow", "deny", "partial")[nth % 3],
        "evaluation_status": "complete",
        "metadata_json": metadata,
        "occurred_at": START + timedelta(seconds=nth),
    }
    return AuditEvent.objects.create(**{**values, **fields})


@pytest.fixture
def decisions(zone: Zone) -> list[str]:
    """Six decisions, by id."""
    return [decide(zone, nth).id for nth in range(1, 7)]


def read(api: Api, zone: Zone, listing: str = "audit", query: str = "") -> Any:
    response = api.get(f"/v1/zones/{zone.id}/{listing}{query}")
    assert response.status_code == 200, response.content
    return response.json()


def test_decisions_are_listed_newest_first_without_their_secrets(
    api: Api, zone: Zone, decisions: list[str]
) -> None:
    body = read(api, zone)
    assert [row["id"] for row in body["rows"]] == decisions[::-1]
    assert body["next_cursor"] is None
    row = body["rows"][-1]
    assert row.keys() == {
        "id",
        "zone_id",
        "event_type",
        "request_id",
        "decision",
        "evaluation_status",
        "metadata_json",
        "occurred_at",
        "ingested_at",
    }
    assert row["occurred_at"] == "2026-05-01T10:00:01.000Z"
    assert row["metadata_json"]["session_id"] == "[redacted]"
    assert row["metadata_json"]["nested"] == [
        {"Access_Token": "[redacted]", "shown": 1}
    ]


def test_pages_follow_each_other_to_the_last_row(
    api: Api, zone: Zone, decisions: list[str]
) -> None:
    seen: list[str] = []
    query = "?limit=3"
    for _ in range(2):
        body = read(api, zone, query=query)
        seen += [row["id"] for row in body["rows"]]
        query = f"?limit=3&cursor={body['next_cursor']}"
    assert seen == decisions[::-1]
    assert body["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("decision=deny", [4, 1]),
        ("event_type=replay_detected", [6, 4, 2]),
        ("request_id=req-1", [3, 2]),
        ("application_id=app-1", [5, 3, 1]),
        ("agent_session_id=agent-4", [4]),
        ("session_id=session-5", [5]),
        ("label=red", [2, 1]),
        ("label=two%20words&decision=allow", [6, 3]),
        ("since=2026-05-01T10:00:03Z&until=2026-05-01T10:00:05.000Z", [4, 3]),
        ("since=2026-05-01T10:01Z", []),
    ],
)
def test_decisions_are_narrowed(
    api: Api, zone: Zone, decisions: list[str], query: str, found: list[int]
) -> None:
    rows = read(api, zone, query=f"?{query}")["rows"]
    assert [row["id"] for row in rows] == [decisions[nth - 1] for nth in found]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "decision=odd",
        "since=yesterday",
        "since=2026-05-01T10:00:00%2B00:00",
        "since=%202026-05-01T10:00:00Z",
        "until=0000-01-01T00:00:00Z",
        "label=",
        f"label={'x' * 65}",
        f"application_id={'x' * 129}",
        "request_id=a&request_id=b",
        "desicion=deny",
    ],
)
def test_a_faulty_question_is_refused(api: Api, zone: Zone, query: str) -> None:
    assert refusal(api.get(f"/v1/zones/{zone.id}/audit?{query}")) == (
        400,
        "invalid_query",
    )


def test_a_cursor_of_another_question_is_refused(
    api: Api, zone: Zone, decisions: list[str]
) -> None:
    cursor = read(api, zone, query="?limit=2")["next_cursor"]
    path = f"/v1/zones/{zone.id}/audit?decision=deny&cursor={cursor}"
    assert refusal(api.get(path)) == (400, "invalid_cursor")


def test_changes_are_listed_with_their_place_in_the_chain(api: Api, zone: Zone) -> None:
    happen(zone.id, times=2)
    before = read(api, zone, "admin-audit")["rows"]
    assert [row["entity_id"] for row in before[:2]] == ["e1", "e0"]
    assert (before[0]["chain_seq"], before[0]["signed"]) == (None, False)
    seals.seal(stores.redis_client())
    row = read(api, zone, "admin-audit", "?limit=1")["rows"][0]
    assert row.keys() == {
        "id",
        "request_id",
        "actor_id",
        "actor_name",
        "actor_scope",
        "action",
        "method",
        "path",
        "entity_type",
        "entity_id",
        "status_code",
        "payload_json",
        "occurred_at",
        "chain_seq",
        "signed",
    }
    assert (row["chain_seq"], row["signed"]) == (str(len(before)), True)
    assert row["payload_json"]["event"] == "test.happened"


def test_a_file_of_changes_has_the_fields_asked_for(api: Api, zone: Zone) -> None:
    applications = f"/v1/zones/{zone.id}/applications"
    made = {"name": "one", "registration_method": "managed"}
    application = api.post(applications, made).json()["id"]
    changed = {"name": "uno", "client_secret": "s" * 32}
    assert api.patch(f"{applications}/{application}", changed).status_code == 200
    path = f"/v1/zones/{zone.id}/admin-audit?format=csv"
    answer = api.get(
        f"{path}&fields=method,status_code,changed_fields&entity_id={application}"
    )
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert lines == [
        "method,status_code,changed_fields",
        "PATCH,200,name",
        "POST,201,name registration_method",
    ]
    line = api.get(f"{path.replace('csv', 'ndjson')}&fields=changed_fields,method")
    first = orjson.loads(b"".join(line.streaming_content).splitlines()[-1])
    assert list(first) == ["changed_fields", "method"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("format=csv&fields=secret", "invalid_fields"),
        ("fields=secret", "invalid_fields"),
        ("fields=,", "invalid_fields"),
        ("fields=method&fields=path", "invalid_query"),
        ("fields=", "invalid_query"),
        ("limit=0&fields=secret", "invalid_query"),
        ("cursor=x&fields=secret", "invalid_fields"),
    ],
)
def test_fields_that_no_row_has_are_refused(
    api: Api, zone: Zone, query: str, code: str
) -> None:
    answer = api.get(f"/v1/zones/{zone.id}/admin-audit?{query}")
    assert (answer.status_code, answer.json()["error"]) == (400, code)


def test_a_page_has_the_fields_asked_for_and_leaves_out_what_is_not_there(
    api: Api, zone: Zone
) -> None:
    decide(zone, 1, metadata_json={"application_id": "a1", "agent_labels": ["x y"]})
    decide(zone, 2, metadata_json={"resource": "r"})
    fields = "?fields=resource, decision,application_id,,decision&limit=1"
    first = read(api, zone, "audit", fields)
    assert first["rows"] == [{"resource": "r", "decision": "partial"}]
    # A cursor is good for any choice of fields.
    rest = read(api, zone, "audit", f"?limit=1&cursor={first['next_cursor']}")
    assert rest["rows"][0]["metadata_json"]["agent_labels"] == ["x y"]


def test_a_file_of_decisions_has_their_metadata_in_columns(
    api: Api, zone: Zone
) -> None:
    decide(
        zone,
        1,
        metadata_json={
            "application_name": "=1+1",
            "requested_scopes": ["read", "write"],
            "agent_labels": ["two words", "x"],
            "session_id": "hidden",
            "latency_ms": 7,
        },
    )
    answer = api.get(f"/v1/zones/{zone.id}/audit?format=csv")
    [row] = csv.DictReader(StringIO(b"".join(answer.streaming_content).decode()))
    assert tuple(row) == shapes.DECISION_TABLE
    assert row["application_name"] == "'=1+1"
    assert row["requested_scopes"] == "read write"
    assert row["agent_labels"] == '["two words","x"]'
    assert (row["latency_ms"], row["reason"]) == ("7", "")


def test_a_page_can_be_had_as_a_file_and_leads_on(api: Api, zone: Zone) -> None:
    for nth in range(3):
        decide(zone, nth)
    path = f"/v1/zones/{zone.id}/audit?format=csv&fields=id&limit=2"
    first = api.get(path)
    assert len(b"".join(first.streaming_content).splitlines()) == 3
    following = re.match(r'<(.+)>; rel="next"', first["Link"])
    assert following
    last = api.get(following[1])
    assert last["Content-Type"].startswith("text/csv")
    assert len(b"".join(last.streaming_content).splitlines()) == 2
    assert "Link" not in last


def test_what_belongs_to_no_zone_can_be_read(api: Api, zone: Zone) -> None:
    """W-19: the trail of the platform could be read by nobody."""
    name = new_id()
    body = {"name": name, "scope": "global"}
    minted = api.post("/v1/admin-tokens", body)
    assert minted.status_code == 201, minted.content
    here = f"/v1/admin-audit?entity_id={minted.json()['id']}"
    [row] = api.get(here).json()["rows"]
    assert (row["method"], row["path"]) == ("POST", "/v1/admin-tokens")
    assert row["actor_id"]
    api.patch(f"/v1/zones/{zone.id}", {"name": new_id()})
    assert (
        api.get(f"/v1/admin-audit?entity_id={zone.id}&method=PATCH").json()["rows"]
        == []
    )


def test_changes_are_narrowed(api: Api, zone: Zone) -> None:
    api.patch(f"/v1/zones/{zone.id}", {"name": new_id()})
    happen(zone.id)

    def actions(query: str) -> list[str]:
        rows = read(api, zone, "admin-audit", f"?{query}")["rows"]
        return [f"{row['method']} {row['entity_type']}" for row in rows]

    assert actions("method=PATCH") == ["PATCH zones"]
    assert actions("entity_type=tests") == ["JOB tests"]
    assert actions(f"entity_id={zone.id}&method=PATCH") == ["PATCH zones"]
    assert actions("actor_id=caracal-system&entity_id=e0") == ["JOB tests"]
    assert actions("actor_id=nobody") == []
    path = f"/v1/zones/{zone.id}/admin-audit"
    assert refusal(api.get(f"{path}?method=GET")) == (400, "invalid_query")


@pytest.mark.parametrize("listing", ["audit", "admin-audit"])
def test_the_evidence_of_a_zone_that_is_not_there_is_not_found(
    api: Api, listing: str
) -> None:
    assert refusal(api.get(f"/v1/zones/{new_id()}/{listing}")) == (
        404,
        "zone_not_found",
    )
