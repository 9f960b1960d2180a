"""Evidence in the console: narrowed, explained, verified and taken along."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import AdminAuditEvent, AuditEvent, AuditQuarantine
from audit.record import record
from audit.tests.factories import ACTOR, Happened
from audit.tests.test_ledger import as_the_owner, decide, seal
from caracal_site import stores
from caracal_site.console.tests.asking import carry_out
from caracal_site.ids import new_id
from zones.models import Zone

EVENTS = "/admin/audit/auditevent/"
TRAIL = "/admin/audit/adminauditevent/"
CHAINS = "/admin/audit/auditchain/"


@pytest.fixture
def console() -> Client:
    """A superuser at the console."""
    client = Client()
    client.force_login(User.objects.create_superuser(new_id()[:30], password="x" * 12))
    return client


def page(console: Client, path: str, **query: str) -> str:
    answer = console.get(path, query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_decisions_are_narrowed_by_time_application_agent_and_label(
    console: Client, zone: Zone
) -> None:
    now = timezone.now()
    for nth in range(3):
        AuditEvent.objects.create(
            zone_id=zone.id,
            event_type=f"kind-{nth}",
            occurred_at=now - timedelta(days=nth * 3, minutes=1),
            metadata_json={
                "application_id": f"app-{nth}",
                "agent_session_id": f"agent-{nth}",
                "agent_labels": [f"label {nth}"],
            },
        )
    long_ago = (now - timedelta(days=4)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for query, shown in (
        ({"when": "day"}, {0}),
        ({"when": "week"}, {0, 1, 2}),
        ({"since": long_ago}, {0, 1}),
        ({"until": long_ago}, {2}),
        ({"since": "yesterday"}, set()),
        ({"application": "app-1"}, {1}),
        ({"agent": "agent-2"}, {2}),
        ({"label": "label 0"}, {0}),
    ):
        found = page(console, EVENTS, zone=zone.id, **query)
        assert {nth for nth in range(3) if f"kind-{nth}" in found} == shown, query


def test_decisions_are_searched_by_either_id(console: Client, zone: Zone) -> None:
    request_id, other = new_id(), new_id()
    row = {"zone_id": zone.id, "event_type": "found-me"}
    id_ = AuditEvent.objects.create(request_id=request_id, **row).id
    row["event_type"] = "another-one"
    AuditEvent.objects.create(request_id=other, **row)
    for text in (id_, request_id, f" {request_id} "):
        found = page(console, EVENTS, q=text)
        assert "found-me" in found
        assert "another-one" not in found
    assert "found-me" not in page(console, EVENTS, q=id_[:-1])


def test_the_trail_is_searched_by_words_of_the_reason(
    console: Client, zone: Zone
) -> None:
    for entity, reason in (("one", "The vendor was breached"), ("two", None)):
        with transaction.atomic():
            event = Happened(zone_id=zone.id, entity_id=f"{entity}-{zone.id}")
            record(ACTOR, event, reason=reason)
    for text, count in (("breached vendor", 1), ("nothing", 0), (f"two-{zone.id}", 1)):
        found = AdminAuditEvent.objects.in_zone(zone.id).telling(text)
        assert found.count() == count, text
    assert "The vendor was breached" in page(console, TRAIL, zone=zone.id, q="breached")
    assert "breached" not in page(console, TRAIL, zone=zone.id, q="two")


def test_a_list_leaves_as_it_is_filtered(console: Client, zone: Zone) -> None:
    decide(zone.id)
    found = page(console, EVENTS, zone=zone.id, decision="deny", application="a b")
    path = reverse("audit:audit-events", args=[zone.id])
    file = f"{path}?decision=deny&application_id=a+b&format=csv"
    assert file.replace("&", "&amp;") in found
    assert console.get(file).status_code == 200
    assert "Export CSV" not in page(console, EVENTS)
    assert "Export CSV" not in page(console, EVENTS, zone="a/../b")


def test_a_decision_is_explained_without_its_secrets(
    console: Client, zone: Zone
) -> None:
    event = AuditEvent.objects.create(
        zone_id=zone.id,
        event_type="token_exchange",
        decision="deny",
        request_id=new_id(),
        metadata_json={
            "application_name": "planner",
            "resource": "resource://calendar",
            "requested_scopes": ["read"],
            "access_token": "hide me",
        },
    )
    seal()
    found = page(console, f"{EVENTS}{event.id}/change/")
    assert "read on resource://calendar by planner was denied" in found
    assert "number 1 of its ledger" in found
    assert "hide me" not in found


def verify(console: Client, zone: Zone) -> str:
    answer = carry_out(console, f"{CHAINS}{zone.id}/gestures/verify/")
    return page(console, answer.url)


def test_a_ledger_is_verified_from_its_page(console: Client, zone: Zone) -> None:
    ids = decide(zone.id, 3)
    seal()
    assert "3 rows verified, nothing was altered" in verify(console, zone)
    with as_the_owner() as cursor:
        cursor.execute("DELETE FROM audit_events WHERE id = %s", [ids[1]])
    assert "1 fault found" in verify(console, zone)
    shown = page(console, f"{CHAINS}{zone.id}/change/")
    assert "is missing" in shown
    assert ids[1][:8] in shown
    trail: Any = AdminAuditEvent.objects.in_zone(zone.id).filter(entity_type="ledgers")
    assert [row.payload_json["faults"] for row in trail.order_by("position")] == [0, 1]


def test_what_was_not_taken_is_shown_with_its_reason(console: Client) -> None:
    row = AuditQuarantine.objects.create(
        source_id=new_id(), reason="hmac_verify_failed", data='{"id": "evt-1"}'
    )
    assert "hmac_verify_failed" in page(console, "/admin/audit/auditquarantine/")
    shown = page(console, f"/admin/audit/auditquarantine/{row.id}/change/")
    assert "evt-1" in shown


def test_a_ledger_is_verified_as_far_as_it_goes_without_redis(
    console: Client, zone: Zone, monkeypatch: Any
) -> None:
    decide(zone.id)
    seal()
    away = stores.connect("redis://127.0.0.1:1/0")
    monkeypatch.setattr(stores, "redis_client", lambda: away)
    assert "no published head to compare with" in verify(console, zone)
