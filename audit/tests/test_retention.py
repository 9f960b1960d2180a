"""How long decisions are kept: who says so, and what waits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit import retention
from audit.models import AdminAuditEvent, AuditRetention
from caracal_site.actors import Actor
from caracal_site.testing.api import Api, refusal
from zones import services as zone_services
from zones.models import Zone


@pytest.fixture(autouse=True)
def default() -> Any:
    """The platform's own row is shared by all tests of this process."""
    AuditRetention.objects.filter(scope=retention.PLATFORM).delete()
    yield
    AuditRetention.objects.filter(scope=retention.PLATFORM).delete()


def path(zone: Zone) -> str:
    return f"/v1/zones/{zone.id}/audit-retention"


def token(zone: Zone, actor: Actor, **more: Any) -> str:
    minted = zone_services.mint_admin_token(
        "zone token", actor=actor, scope="zone", zone_id=zone.id, **more
    )
    return minted.plain


def test_the_platform_keeps_for_as_long_as_it_may_unless_told(api: Api) -> None:
    assert api.get("/v1/audit-retention").json() == {
        "retention_days": 365,
        "max_days": 365,
        "updated_at": None,
        "legal_hold": False,
        "shortens_at": None,
    }


def test_a_shorter_time_waits_before_it_counts(api: Api) -> None:
    answer = api.put("/v1/audit-retention", {"retention_days": 30}).json()
    assert (answer["retention_days"], answer["max_days"]) == (30, 365)
    assert answer["updated_at"]
    assert answer["shortens_at"]
    found = retention.of_platform()
    assert (found.days, found.days_now) == (30, 365)
    AuditRetention.objects.filter(scope=retention.PLATFORM).update(
        shortens_at=timezone.now() - timedelta(seconds=1)
    )
    assert retention.of_platform().days_now == 30


def test_a_second_shortening_starts_the_wait_again(api: Api) -> None:
    first = api.put("/v1/audit-retention", {"retention_days": 30}).json()
    second = api.put("/v1/audit-retention", {"retention_days": 20}).json()
    assert second["shortens_at"] >= first["shortens_at"]
    assert retention.of_platform().days_now == 365
    longer = api.put("/v1/audit-retention", {"retention_days": 365}).json()
    assert longer["shortens_at"] is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_body"),
        ({"retention_days": 0}, "invalid_body"),
        ({"retention_days": "30"}, "invalid_body"),
        ({"retention_days": 1.5}, "invalid_body"),
        ({"retention_days": True}, "invalid_body"),
        ({"retention_days": None}, "invalid_body"),
        ({"retention_days": 2**40}, "invalid_body"),
        ({"retention_days": 3, "k": 1}, "invalid_body"),
        ({"retention_days": 3, "legal_hold": "yes"}, "invalid_body"),
        ({"retention_days": 366}, "retention_above_limit"),
        ([1], "invalid_body"),
    ],
)
def test_a_bad_retention_is_refused(api: Api, body: Any, code: str) -> None:
    answer = api.put("/v1/audit-retention", body)
    assert refusal(answer) == (400, code)
    assert retention.of_platform().updated_at is None


def test_what_is_above_the_limit_is_told_the_limit(api: Api) -> None:
    answer = api.put("/v1/audit-retention", {"retention_days": 366})
    assert answer.json()["max_days"] == 365


def test_a_zone_has_the_platforms_time_until_it_has_its_own(
    api: Api, zone: Zone
) -> None:
    first = api.get(path(zone)).json()
    assert (first["retention_days"], first["inherited"]) == (365, True)
    api.put("/v1/audit-retention", {"retention_days": 100})
    assert api.get(path(zone)).json()["retention_days"] == 100
    own = api.put(path(zone), {"retention_days": 200}).json()
    assert (own["retention_days"], own["inherited"]) == (200, False)
    back = api.put(path(zone), {"retention_days": None}).json()
    assert (back["retention_days"], back["inherited"]) == (100, True)


def test_a_hold_of_the_platform_is_a_hold_of_every_zone(api: Api, zone: Zone) -> None:
    api.put("/v1/audit-retention", {"retention_days": 365, "legal_hold": True})
    assert api.get(path(zone)).json()["legal_hold"] is True
    assert retention.of_zone(zone.id).cutoff(timezone.now()) is None


def test_a_change_needs_something_to_change(api: Api, zone: Zone) -> None:
    assert refusal(api.put(path(zone), {"reason": "why"})) == (400, "invalid_body")


def test_a_zone_token_holds_but_neither_lifts_nor_shortens(
    api: Api, zone: Zone, elsewhere: Zone, actor: Actor
) -> None:
    own = api.as_(token(zone, actor))
    assert own.put(path(zone), {"legal_hold": True}).json()["legal_hold"] is True
    required = (403, "admin_token_global_required")
    assert refusal(own.put(path(zone), {"legal_hold": False})) == required
    assert refusal(own.put(path(zone), {"retention_days": 3})) == required
    mismatch = (403, "admin_token_zone_mismatch")
    assert refusal(own.put(path(elsewhere), {"legal_hold": True})) == mismatch
    assert refusal(own.put("/v1/audit-retention", {"retention_days": 3})) == mismatch
    assert api.get(path(zone)).json()["legal_hold"] is True


def test_a_change_is_in_the_audit_trail_with_its_reason(api: Api, zone: Zone) -> None:
    api.put(path(zone), {"legal_hold": True, "reason": "case 17"})
    row = AdminAuditEvent.objects.in_zone(zone.id).order_by("-position")[0]
    assert row.entity_type == "audit-retention"
    assert row.payload_json["legal_hold"] is True
    assert row.payload_json["reason"] == "case 17"


def test_an_unknown_zone_has_no_retention(api: Api) -> None:
    assert refusal(api.get("/v1/zones/nope/audit-retention")) == (404, "zone_not_found")
    answer = api.put("/v1/zones/nope/audit-retention", {"legal_hold": True})
    assert refusal(answer) == (404, "zone_not_found")
