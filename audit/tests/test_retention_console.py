"""How long decisions are kept, set at the console."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from audit import retention
from audit.ledger import retiring
from audit.models import AdminAuditEvent, AuditRetention
from audit.tests.test_ledger import decide, seal
from audit.tests.test_quarantine import console
from audit.tests.test_retiring import aged, defaults, keep, left  # noqa: F401 - a fixture
from caracal_site.console.tests.asking import carry_out, change, gesture, text
from caracal_site.testing.api import Api
from zones.models import Zone

LIST = "/admin/audit/auditretention/"
CHAINS = "/admin/audit/auditchain/"


@pytest.fixture
def person() -> Client:
    return console()


def row(zone: Zone) -> AuditRetention:
    return AuditRetention.objects.get(scope=zone.id)


def reasons(scope: str) -> list[str]:
    found = AdminAuditEvent.objects.filter(
        entity_id=scope, entity_type="audit-retention"
    )
    return [one.payload_json["reason"] for one in found.order_by("position")]


def test_the_default_is_set_and_waits_before_it_counts(
    person: Client, api: Api
) -> None:
    # Tests share the trail of the platform.
    before = reasons(retention.PLATFORM)
    sent = {"retention_days": "30", "reason": "our own rule"}
    answer = carry_out(person, f"{LIST}add/", **sent)
    assert answer.status_code == 302, text(answer)
    found = retention.of_platform()
    assert (found.days, found.days_now) == (30, 365)
    assert api.get("/v1/audit-retention").json()["retention_days"] == 30
    shown = text(person.get(change(AuditRetention.objects.get(scope="platform"))))
    assert "Then for 30 days, from" in shown
    assert reasons(retention.PLATFORM) == [*before, "our own rule"]
    assert "Every zone, by default" in text(person.get(LIST))


def test_a_zone_has_its_own_from_the_page_of_its_ledger(
    person: Client, zone: Zone
) -> None:
    decide(zone.id)
    seal()
    add = f"{LIST}add/?zone={zone.id}"
    assert add in text(person.get(f"{CHAINS}{zone.id}/change/"))
    opened = text(person.get(add))
    assert f'<option value="{zone.id}" selected>' in opened
    sent = {"zone": zone.id, "retention_days": "300", "reason": "a contract"}
    assert carry_out(person, add, **sent).status_code == 302
    assert row(zone).retention_days == 300
    assert change(row(zone)) in text(person.get(f"{CHAINS}{zone.id}/change/"))
    sent = {"retention_days": "", "reason": "it ended"}
    assert carry_out(person, change(row(zone)), **sent).status_code == 302
    assert retention.of_zone(zone.id).is_inherited
    assert reasons(zone.id) == ["a contract", "it ended"]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"retention_days": "366", "reason": "x"}, "at most 365 days"),
        ({"retention_days": "0", "reason": "x"}, "greater than or equal to 1"),
        ({"retention_days": "-1", "reason": "x"}, "greater than or equal to 1"),
        ({"retention_days": "many", "reason": "x"}, "Enter a whole number"),
        ({"retention_days": "9" * 30, "reason": "x"}, "less than or equal to"),
        ({"retention_days": "30", "reason": ""}, "This field is required"),
        ({"zone": "nowhere", "retention_days": "30", "reason": "x"}, "valid choice"),
    ],
)
def test_a_faulty_retention_is_shown_again_with_its_fault(
    person: Client, sent: dict[str, str], told: str
) -> None:
    answer = carry_out(person, f"{LIST}add/", **sent)
    assert answer.status_code == 200
    assert told in text(answer)
    assert not AuditRetention.objects.filter(scope=retention.PLATFORM).exists()


def test_the_next_run_is_told_before_it_runs(person: Client, zone: Zone) -> None:
    keep(zone.id, 10)
    aged(zone.id, 30, times=3)
    aged(zone.id, 5)
    assert "Nothing: no decision is past" in text(person.get(change(row(zone))))
    seal()
    (foreseen,) = retiring.foresee(retiring.past([zone.id]))
    assert (foreseen.zone_id, foreseen.rows) == (zone.id, 3)
    assert foreseen.oldest < timezone.now() - timedelta(days=29)
    shown = text(person.get(change(row(zone))))
    assert "What the next run would remove" in shown
    assert zone.name in shown
    retiring.retire()
    assert left(zone.id) == 1, "as it was told"
    assert retiring.foresee(retiring.past([zone.id])) == []


def test_a_hold_keeps_what_was_due_and_lifting_it_says_what_goes(
    person: Client, zone: Zone
) -> None:
    keep(zone.id, 10)
    aged(zone.id, 30, times=3)
    seal()
    page = gesture(row(zone), "hold")
    assert "Decisions that stay, of those due to go" in text(person.get(page))
    carry_out(person, page, reason="a court asks", confirmed="1")
    assert row(zone).legal_hold
    assert retiring.foresee(retiring.past([zone.id])) == []
    retiring.retire()
    assert left(zone.id) == 3
    page = gesture(row(zone), "lift-hold")
    opened = text(person.get(page))
    assert "Decisions the next run would remove" in opened
    carry_out(person, page, reason="settled", confirmed="1")
    assert not row(zone).legal_hold
    assert reasons(zone.id) == ["a court asks", "settled"]
    assert person.get(page).status_code == 302, "there is nothing to lift any more"


def test_a_hold_of_the_platform_is_not_lifted_by_a_zone_s(
    person: Client, zone: Zone
) -> None:
    keep(zone.id, 10, legal_hold=True)
    AuditRetention.objects.create(scope=retention.PLATFORM, legal_hold=True)
    aged(zone.id, 30)
    seal()
    found: Any = retiring.past([zone.id], without_hold_of=zone.id)
    assert found == {}


def test_who_may_only_look_changes_nothing(zone: Zone) -> None:
    keep(zone.id, 10)
    person = console("view_auditretention")
    assert person.get(change(row(zone))).status_code == 200
    assert person.get(f"{LIST}add/").status_code == 403
    assert person.post(f"{LIST}add/", {"retention_days": "1"}).status_code == 403
    for name in ("hold", "lift-hold"):
        assert person.post(gesture(row(zone), name), {}).status_code == 403
    sent = {"retention_days": "1", "reason": "x"}
    assert person.post(change(row(zone)), sent).status_code == 403
    assert row(zone).retention_days == 10
