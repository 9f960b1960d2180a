"""What the implementation before did wrong (contract: audit-and-events.md 14), with the
scenario of each weakness, and which tests show that it is different here."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from functools import reduce
from importlib import import_module
from io import StringIO
from typing import Any
from urllib.parse import quote

import pytest
from django.utils import timezone

from agents.models import AgentSession
from audit import publisher, retention
from audit.ledger import ingesting, retiring
from audit.models import (
    AdminAuditEvent,
    AuditEvent,
    AuditQuarantine,
    AuditRetention,
    OutboxEvent,
)
from audit.tests.factories import entries, private_valkey, queue
from audit.tests.test_files import FORMULAS
from audit.tests.test_ingesting import KEY, event, send
from audit.tests.test_ledger import decide
from audit.tests.weaknesses import SHOWN
from caracal_site import stores
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, refusal
from caracal_site.testing.world import World
from tokens.models import Session
from zones.models import Zone

LIFECYCLE = "caracal.agents.lifecycle"
# One instant to the microsecond, and the next one in its millisecond.
INSTANT = datetime(2026, 5, 1, 10, 0, 0, 123456, UTC)
LISTS = ("audit", "admin-audit", "sessions", "agent-sessions")


@pytest.mark.parametrize("weakness", SHOWN, ids="W-{:02}".format)
def test_every_weakness_is_shown_to_be_none(weakness: int) -> None:
    """A test that is renamed or goes takes its line here along."""
    here = f"W-{weakness:02}"
    own = [
        one for one in globals().values() if here in (getattr(one, "__doc__", "") or "")
    ]
    assert SHOWN[weakness] or own, f"nothing shows {here}"
    for named in SHOWN[weakness]:
        app, module, test = named.split(".")
        found: Any = import_module(f"{app}.tests.{module}")
        assert callable(reduce(getattr, [test], found)), named


def file_of(api: Api, zone: Zone, listing: str) -> list[dict[str, str]]:
    answer = api.get(f"/v1/zones/{zone.id}/{listing}?format=csv")
    assert answer.status_code == 200
    written = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(StringIO(written, newline="")))


def paged(api: Api, zone: Zone, listing: str, limit: int) -> list[str]:
    """The ids of a list, page by page."""
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        page = api.get(f"/v1/zones/{zone.id}/{listing}?limit={limit}{more}").json()
        found += [row["id"] for row in page["rows"]]
        cursor = page["next_cursor"]
    return found


@pytest.mark.parametrize(
    "path",
    [
        "/%761/audit-retention",
        "/%2576%2531/audit-retention",
        "/%76%31/audit-retention",
        "/V1/audit-retention",
        "//v1/audit-retention",
        "/v1//audit-retention",
        "/v1/./audit-retention",
        "/x/../v1/audit-retention",
        "/x/%2e%2e/v1/audit-retention",
        "/v1;x=1/audit-retention",
        "/v1/audit-retention/",
        "/v1/audit%2Dretention",
        "/v1/audit-retention%00",
    ],
)
def test_no_spelling_of_a_path_gets_past_the_door(api: Api, path: str) -> None:
    """W-01: a path whose prefix was percent-encoded needed no token."""
    AuditRetention.objects.filter(scope=retention.PLATFORM).delete()
    nobody = api.as_(None)
    assert nobody.get(path).status_code in (400, 401, 404)
    assert nobody.put(path, {"retention_days": 1}).status_code in (400, 401, 404)
    assert not AuditRetention.objects.filter(scope=retention.PLATFORM).exists()


def test_a_request_id_is_never_stored_as_somebody_likes(api: Api, zone: Zone) -> None:
    """W-02: a caller's request id was stored whatever it was."""
    for odd in ("hello world <b>", "x" * 129, "a/b", ""):
        body = {"name": new_id()}
        answer = api.patch(f"/v1/zones/{zone.id}", body, x_request_id=odd)
        row = AdminAuditEvent.objects.in_zone(zone.id).latest("position")
        assert row.request_id == answer["X-Request-ID"] != odd


def test_strangers_write_nothing_into_any_zone(world: World, api: Api) -> None:
    """W-03: each refused request of anybody was chained under the zone it named."""
    named = new_id()
    before = AdminAuditEvent.objects.filter(zone_id=world.zone.id).count()
    for zone_id in (world.zone.id, named, "anything-i-like"):
        for token in (None, "cat_wrong"):
            caller = api.as_(token)
            for rest in ("audit", "admin-audit", "nothing", "audit/by-request/x"):
                assert caller.get(f"/v1/zones/{zone_id}/{rest}").status_code == 401
            assert caller.delete(f"/v1/zones/{zone_id}").status_code == 401
        for verb in (world.coordinator.get, world.coordinator.post):
            assert verb(f"/zones/{zone_id}/agents").status_code == 401
    after = AdminAuditEvent.objects.filter(zone_id=world.zone.id).count()
    assert after == before
    made_up = AdminAuditEvent.objects.filter(zone_id__in=(named, "anything-i-like"))
    assert not made_up.exists()
    assert not AuditEvent.objects.filter(zone_id__in=(world.zone.id, named)).exists()


def many_at_once(world: World) -> dict[str, list[str]]:
    """Six rows of each list within one millisecond, two of them in one microsecond."""
    zone_id = world.zone.id
    times = [INSTANT + timedelta(microseconds=max(0, nth - 1)) for nth in range(6)]
    decided = {"zone_id": zone_id, "event_type": "x"}
    decisions = [AuditEvent(occurred_at=at, **decided) for at in times]
    changed = {"zone_id": zone_id, "request_id": "r", "action": "POST /x"}
    changed |= {"method": "POST", "path": "/x", "status_code": 201}
    changes = [AdminAuditEvent(occurred_at=at, **changed) for at in times]
    AuditEvent.objects.bulk_create(decisions)
    AdminAuditEvent.objects.bulk_create(changes)
    spawned = [world.spawn()["agent_session_id"] for _ in times]
    for agent, at in zip(spawned, times, strict=True):
        AgentSession.objects.filter(id=agent).update(spawned_at=at)
    sessions = [
        Session.objects.create(
            zone_id=zone_id,
            session_type="application",
            subject_id=world.application.id,
            client_id=world.application.id,
            expires_at=timezone.now() + timedelta(hours=1),
            authenticated_at=at,
            created_at=at,
        ).id
        for at in times
    ]
    return {
        "audit": [row.id for row in decisions],
        "admin-audit": [row.id for row in changes],
        "agent-sessions": spawned,
        "sessions": sessions,
    }


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_no_row_is_lost_at_the_border_of_a_page(
    world: World, api: Api, limit: int
) -> None:
    """W-04: of six rows within a millisecond, pages of two had three."""
    made = many_at_once(world)
    for listing, ids in made.items():
        found = paged(api, world.zone, listing, limit)
        assert len(found) == len(set(found)), listing
        assert set(ids) <= set(found), listing
        # Only the two of one microsecond may come either way round.
        order = [one for one in found if one in ids]
        assert order[:4] == ids[:1:-1], listing


def test_a_file_is_never_cut_short(api: Api, zone: Zone) -> None:
    """W-05: a file had a hundred rows, or a thousand, and did not say so."""
    decide(zone.id, 1_203)
    assert len(file_of(api, zone, "audit")) == 1_203


def test_what_attackers_name_opens_inert_in_every_file(world: World, api: Api) -> None:
    """W-06: labels, subjects, reasons and names of others reached a spreadsheet as
    they were."""
    assert len(set(FORMULAS)) >= 60
    agent = world.spawn(labels=["=1+1", "@SUM(1)"])
    reason = quote("-2+cmd|' /C calc'!A0", safe="")
    world.delete(f"/agents/{agent['agent_session_id']}?reason={reason}")
    Session.objects.filter(zone=world.zone).update(revoked_reason="+1")
    for listing in LISTS:
        rows = file_of(api, world.zone, listing)
        cells = [cell for row in rows for cell in row.values()]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "-"))]
    (row,) = file_of(api, world.zone, "agent-sessions")
    assert "=1+1" in row["labels"]
    assert row["termination_reason"].endswith("-2+cmd|' /C calc'!A0")


CURSORS = (
    "eyJ0cyI6ImdhcmJhZ2UiLCJpZCI6IngifQ",  # {"ts":"garbage","id":"x"}
    "eyJ0cyI6Im5vdyIsImlkIjoieCJ9",  # {"ts":"now","id":"x"}
    "x",
    "AAAA",
)


@pytest.mark.parametrize("listing", LISTS)
@pytest.mark.parametrize(
    ("query", "code"),
    [
        *((f"cursor={cursor}", "invalid_cursor") for cursor in CURSORS),
        ("since=0000-01-01T00:00:00Z", "invalid_query"),
        ("until=2026-02-30T00:00:00Z", "invalid_query"),
        ("limit=1%00", "invalid_query"),
        ("nothing=1", "invalid_query"),
    ],
)
def test_no_question_reaches_the_database_unread(
    api: Api, zone: Zone, listing: str, query: str, code: str
) -> None:
    """W-07, W-29: they ended in a 500, or were taken for something else."""
    answer = api.get(f"/v1/zones/{zone.id}/{listing}?{query}")
    assert refusal(answer) == (400, code)


@pytest.mark.parametrize(
    ("listing", "name"),
    [
        ("audit", "request_id"),
        ("audit", "event_type"),
        ("audit", "application_id"),
        ("audit", "label"),
        ("admin-audit", "actor_id"),
        ("admin-audit", "entity_id"),
        ("sessions", "subject_id"),
        ("agent-sessions", "label"),
        ("agent-sessions", "application_id"),
    ],
)
def test_a_nul_in_a_filter_is_refused(
    api: Api, zone: Zone, listing: str, name: str
) -> None:
    """W-07: it ended in a 500."""
    answer = api.get(f"/v1/zones/{zone.id}/{listing}?{name}=a%00b")
    assert refusal(answer) == (400, "invalid_query")


def test_a_label_is_a_value_and_never_a_pattern(world: World, api: Api) -> None:
    """W-08: "a,b" asked for both, a blank for everybody, a quote for a 500."""
    labels = ["a,b", "a", "b", "NULL", 'a"b', "{a}", "a b", "\\", "'", "%", "{}"]
    made = {one: world.spawn(labels=[one])["agent_session_id"] for one in labels}
    decide_with = {
        one: AuditEvent.objects.create(
            zone_id=world.zone.id, event_type="x", metadata_json={"agent_labels": [one]}
        ).id
        for one in labels
    }
    base = f"/v1/zones/{world.zone.id}"
    for listing, ids in (("agent-sessions", made), ("audit", decide_with)):
        for label, id_ in ids.items():
            answer = api.get(f"{base}/{listing}?label={quote(label)}")
            assert [row["id"] for row in answer.json()["rows"]] == [id_], label
        blank = api.get(f"{base}/{listing}?label=%20")
        assert blank.status_code == 400 or blank.json()["rows"] == []


def test_an_explanation_has_its_bounds(api: Api, zone: Zone) -> None:
    """W-09: one request id used again and again was one answer of any size."""
    decide(zone.id, 1_005, request_id="again")
    path = f"/v1/zones/{zone.id}/audit/by-request/again"
    assert len(api.get(path).json()) == 1_000
    assert len(api.get(f"{path}/explain").json()["events"]) == 1_000


@pytest.fixture
def producer(settings: Any) -> Any:
    settings.AUDIT_INGEST_HMAC_KEYS = [KEY.hex()]
    with private_valkey() as server:
        yield server.client


@pytest.mark.parametrize(
    "at", ["9999-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "0000-01-01T00:00:00Z"]
)
def test_a_wrong_clock_stops_neither_months_nor_retention(
    producer: Any, zone: Zone, at: str
) -> None:
    """W-11: one event of the far future stopped the making and dropping of months for
    ever."""
    place = send(producer, event(zone.id, occurred_at=at))
    ingesting.ingest(producer)
    assert AuditQuarantine.objects.filter(source_id=place).exists()
    assert not AuditEvent.objects.filter(zone_id=zone.id).exists()
    retiring.make_partitions()
    assert not retiring.retire().error


def test_one_request_id_may_have_any_number_of_decisions(
    producer: Any, api: Api, zone: Zone
) -> None:
    """W-16: the second of a millisecond was taken for tampering, and lost."""
    at = timezone.now().isoformat(timespec="milliseconds")
    for _ in range(2):
        send(producer, event(zone.id, request_id="same", occurred_at=at))
    assert not ingesting.ingest(producer).error
    found = api.get(f"/v1/zones/{zone.id}/audit/by-request/same").json()
    assert len({row["id"] for row in found}) == 2


def test_an_id_is_one_decision_whatever_its_time(producer: Any, zone: Zone) -> None:
    """W-16: one id with two times was two rows."""
    first = event(zone.id)
    send(producer, first)
    later = (timezone.now() - timedelta(seconds=5)).isoformat()
    place = send(producer, {**first, "occurred_at": later})
    ingesting.ingest(producer)
    assert AuditEvent.objects.filter(zone_id=zone.id).count() == 1
    assert AuditQuarantine.objects.get(source_id=place).reason == "tamper_on_replay"


def test_the_making_of_a_thing_is_found_under_its_own_id(api: Api, zone: Zone) -> None:
    """W-19: a creation was recorded as one of the zone it was in, and a refusal without
    who was refused."""
    body = {"name": "one", "registration_method": "managed"}
    made = api.post(f"/v1/zones/{zone.id}/applications", body).json()["id"]
    path = f"/v1/zones/{zone.id}/admin-audit?entity_id={made}"
    (row,) = api.get(path).json()["rows"]
    assert (row["method"], row["entity_type"]) == ("POST", "applications")
    api.post(f"/v1/zones/{zone.id}/applications", {"name": 7})
    refused = AdminAuditEvent.objects.in_zone(zone.id).latest("position")
    assert refused.status_code == 400
    assert refused.actor_name == "tests"


def test_the_second_suspension_is_published_like_the_first(world: World) -> None:
    """W-21: keys held only the id of the agent, and what had one before was dropped."""
    agent = world.spawn()
    for turn in (world.suspend, world.resume, world.suspend):
        assert turn(agent).status_code == 200
    client = stores.redis_client()
    publisher.publish(client)
    rows = OutboxEvent.objects.filter(zone_id=world.zone.id, topic=LIFECYCLE)
    assert len(set(rows.values_list("dedupe_key", flat=True))) == rows.count()
    told = [
        one["event"]
        for one in entries(client, LIFECYCLE)
        if one.get("agent_session_id") == agent["agent_session_id"]
    ]
    assert told == ["spawn", "suspend", "resume", "suspend"]


def test_a_reason_cannot_pass_for_fields_of_its_own(world: World) -> None:
    """W-23: a line feed in a reason moved text into fields under a good signature."""
    agent = world.spawn()
    path = f"/agents/{agent['agent_session_id']}"
    assert world.delete(f"{path}?reason=over%0Azone_id=elsewhere").status_code == 400
    news = {
        "zone_id": world.zone.id,
        "agent_session_id": agent["agent_session_id"],
        "reason": "over\nzone_id=elsewhere",
    }
    queue(world.zone.id, LIFECYCLE, news)
    client = stores.redis_client()
    publisher.publish(client)
    told = [
        one
        for one in entries(client, LIFECYCLE)
        if one.get("agent_session_id") == agent["agent_session_id"]
    ]
    assert told[-1]["zone_id"] == world.zone.id
    assert "\n" not in told[-1]["reason"]
