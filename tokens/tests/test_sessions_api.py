"""Authority sessions on the Management API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from caracal_site.ids import new_id
from caracal_site.testing.api import Api, refusal
from tokens.models import Session
from zones.models import Application, Zone


@pytest.fixture
def application(zone: Zone) -> Application:
    return Application.objects.create(
        zone=zone, name=new_id(), registration_method="managed"
    )


def session(application: Application, **fields: Any) -> Session:
    values: dict[str, Any] = {
        "zone_id": application.zone_id,
        "client": application,
        "session_type": "user",
        "subject_id": "user-1",
        "expires_at": timezone.now() + timedelta(hours=1),
    }
    return Session.objects.create(**{**values, **fields})


def listed(api: Api, zone: Zone, query: str = "") -> Any:
    answer = api.get(f"/v1/zones/{zone.id}/sessions{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def ids(api: Api, zone: Zone, query: str) -> set[str]:
    return {row["id"] for row in listed(api, zone, query)["rows"]}


def test_sessions_are_listed_newest_first_page_by_page(
    api: Api, zone: Zone, application: Application
) -> None:
    # All within one microsecond: nothing is lost at the border of a page.
    now = timezone.now()
    made = [session(application, created_at=now).id for _ in range(5)]
    found, cursor = [], ""
    while cursor is not None:
        page = listed(api, zone, f"?limit=2{cursor and f'&cursor={cursor}'}")
        found += [row["id"] for row in page["rows"]]
        cursor = page["next_cursor"]
    assert found == sorted(made, reverse=True)
    assert listed(api, zone)["rows"][0].keys() == {
        "id",
        "zone_id",
        "session_type",
        "subject_id",
        "parent_id",
        "status",
        "expires_at",
        "authenticated_at",
        "created_at",
        "revoked_at",
        "revoked_reason",
    }


def test_a_session_past_its_time_has_expired_whatever_is_written_down(
    api: Api, zone: Zone, application: Application
) -> None:
    live = session(application).id
    over = session(application, expires_at=timezone.now()).id
    ended = session(application, status="expired", expires_at=timezone.now()).id
    revoked = session(
        application, status="revoked", expires_at=timezone.now(), revoked_reason="x"
    ).id
    assert ids(api, zone, "?status=active") == {live}
    assert ids(api, zone, "?status=expired") == {over, ended}
    assert ids(api, zone, "?status=revoked") == {revoked}
    shown = {row["id"]: row["status"] for row in listed(api, zone)["rows"]}
    assert shown == {
        live: "active",
        over: "expired",
        ended: "expired",
        revoked: "revoked",
    }


def test_sessions_are_narrowed_and_stay_in_their_zone(
    api: Api, zone: Zone, application: Application
) -> None:
    mine = session(application, subject_id="a b").id
    child = session(application, subject_id="x", parent_id=mine).id
    elsewhere = Zone.objects.create(name=new_id(), slug=new_id())
    assert ids(api, zone, "?subject_id=a%20b") == {mine}
    assert ids(api, zone, f"?parent_id={mine}") == {child}
    assert ids(api, zone, f"?client_id={application.id}") == {mine, child}
    assert ids(api, zone, "?session_type=application") == set()
    assert ids(api, elsewhere, "") == set()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("status=odd", "invalid_query"),
        ("subject_id=", "invalid_query"),
        ("subject_id=a%00b", "invalid_query"),
        ("limit=1001", "invalid_query"),
        ("cursor=x", "invalid_cursor"),
    ],
)
def test_a_question_nobody_can_ask_is_refused(
    api: Api, zone: Zone, query: str, code: str
) -> None:
    answer = api.get(f"/v1/zones/{zone.id}/sessions?{query}")
    assert refusal(answer) == (400, code)
