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
# Where each weakness is shown to be none, besides in this module: ``app.module.test``
# below ``tests``.
SHOWN = {
    1: ("zones.test_access.test_without_a_good_token_nothing_is_told",),
    2: ("zones.test_access.test_request_ids_are_well_formed_or_replaced",),
    3: ("zones.test_attempts.test_failures_leave_one_row_a_minute_and_none_in_a_zone",),
    4: (
        "caracal_site.test_cursors.test_a_cursor_comes_back_to_the_microsecond",
        "tokens.test_sessions_api.test_sessions_are_listed_newest_first_page_by_page",
    ),
    5: (
        "audit.test_files.test_a_file_of_many_spans_has_every_row_once",
        "caracal_site.test_listings.test_a_file_that_breaks_off_says_so",
    ),
    6: (
        "audit.test_files"
        ".test_what_a_spreadsheet_would_compute_opens_inert_and_is_told_whole",
        "caracal_site.test_listings.test_no_cell_of_a_file_is_taken_for_a_formula",
    ),
    7: ("audit.test_api.test_a_faulty_question_is_refused",),
    8: (),
    9: (
        "audit.test_explaining"
        ".test_a_token_for_what_was_not_denied_makes_the_outcome_partial",
        "audit.test_explaining"
        ".test_a_denial_has_what_the_policies_were_asked_as_it_was_recorded",
    ),
    10: (
        "tokens.test_challenges_api.test_who_holds_the_secret_of_the_application_cannot_approve",
        "tokens.test_step_up.test_an_approval_outlasts_a_refusal",
    ),
    11: (
        "audit.test_retention.test_a_shorter_time_waits_before_it_counts",
        "audit.test_retention.test_a_zone_token_holds_but_neither_lifts_nor_shortens",
        "audit.test_retiring.test_nothing_goes_under_a_hold",
    ),
    12: (
        "audit.test_ledger.test_the_verifier_finds_and_places",
        "audit.test_ledger.test_a_cut_end_is_found_by_what_was_published",
        "audit.test_faults.test_an_end_that_is_gone_is_found_by_the_published_head",
        "audit.test_ledger_api.test_a_verification_is_kept_and_in_the_audit_trail",
    ),
    13: (
        "audit.test_ledger"
        ".test_a_ledger_hashed_again_with_the_key_is_not_what_was_published",
        "audit.test_faults"
        ".test_a_ledger_sealed_again_with_the_key_is_found_between_two_heads",
    ),
    14: (
        "caracal_site.test_roles"
        ".test_evidence_can_be_added_and_sealed_and_nothing_else",
        "audit.test_retiring.test_the_database_itself_refuses_what_is_held_or_young",
    ),
    15: (
        "audit.test_keys.test_a_ledger_verifies_whose_keys_were_replaced_twice",
        "audit.test_keys.test_who_has_the_replaced_key_adds_to_no_chain_that_went_on",
        "audit.test_ledger_export.test_a_file_as_it_was_written_is_intact",
    ),
    16: ("audit.test_ingesting.test_another_text_under_a_known_id_is_seen",),
    17: (
        "audit.test_ingesting.test_what_was_sent_before_the_first_start_counts",
        "audit.test_ingesting.test_what_a_run_read_before_it_died_is_taken_by_the_next",
        "audit.test_ingesting.test_nothing_is_trimmed_that_another_group_has_not_read",
        "audit.test_quarantine.test_a_decision_is_taken_in_once_its_producer_is_known",
    ),
    18: ("audit.test_ledger_export.test_a_file_that_was_changed_is_found_out",),
    19: (
        "caracal_site.test_evidence.test_without_evidence_there_is_no_change",
        "audit.test_sealing.test_the_verifier_finds",
        "audit.test_chain.test_text_cannot_move_from_one_column_to_the_next",
        "audit.test_api.test_a_file_of_changes_has_the_fields_asked_for",
    ),
    20: (
        "audit.test_publisher.test_news_goes_out_in_order_densely_numbered_and_signed",
        "audit.test_publisher.test_a_poison_row_is_parked_alone_and_leaves_no_gap",
        "audit.test_publisher.test_only_old_published_rows_are_pruned",
        "audit.test_streams"
        ".test_a_payload_cannot_take_the_place_of_the_publishers_own_fields",
        "audit.test_outages.test_a_gap_that_trimming_leaves_is_seen_and_refilled",
    ),
    21: (
        "agents.test_suspension.test_every_turn_is_told_under_a_key_of_its_own",
        "audit.test_publisher"
        ".test_an_outage_counts_against_no_row_and_recovery_is_immediate",
        "audit.test_outages.test_what_is_written_while_redis_is_away_goes_out_in_order",
    ),
    22: ("agents.test_suspension.test_a_subtree_rests_and_goes_on_together",),
    23: (
        "audit.test_streams.test_two_events_sign_alike_only_when_they_are_alike",
        "audit.test_ingesting.test_a_key_that_is_being_replaced_still_counts",
        "audit.test_ingesting.test_what_nobody_signed_is_seen_in_the_quarantine",
        "audit.test_outages.test_a_gap_that_a_flush_leaves_is_seen_and_refilled",
    ),
    24: (
        "tokens.test_sessions_api"
        ".test_a_session_past_its_time_has_expired_whatever_is_written_down",
        "tokens.test_sessions"
        ".test_sessions_past_their_time_expire_however_many_there_are",
    ),
    25: ("audit.test_files.test_every_filter_has_its_index",),
    26: ("zones.test_attempts.test_known_callers_are_limited_each_for_itself",),
    27: ("audit.test_api.test_changes_are_listed_with_their_place_in_the_chain",),
    28: (
        "caracal_site.test_listings.test_an_export_that_cannot_be_recorded_does_not_happen",
        "audit.test_retention.test_a_change_is_in_the_audit_trail_with_its_reason",
    ),
    29: ("audit.test_api.test_a_cursor_of_another_question_is_refused",),
}


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
    decisions = [
        AuditEvent(zone_id=zone_id, event_type="x", occurred_at=at) for at in times
    ]
    changes = [
        AdminAuditEvent(
            zone_id=zone_id,
            request_id="r",
            action="POST /x",
            method="POST",
            path="/x",
            status_code=201,
            occurred_at=at,
        )
        for at in times
    ]
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
    told = {
        "zone_id": world.zone.id,
        "agent_session_id": agent["agent_session_id"],
        "reason": "over\nzone_id=elsewhere",
    }
    queue(world.zone.id, LIFECYCLE, told)
    client = stores.redis_client()
    publisher.publish(client)
    told = [
        one
        for one in entries(client, LIFECYCLE)
        if one.get("agent_session_id") == agent["agent_session_id"]
    ]
    assert told[-1]["zone_id"] == world.zone.id
    assert "\n" not in told[-1]["reason"]
