"""Coming to the console, leaving it and failing to come in are evidence."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from audit import authentication
from audit.models import AdminAuditEvent
from caracal_site.console.tests import asking
from caracal_site.ids import new_id

LOGIN, LOGOUT = "/admin/login/", "/admin/logout/"
PASSWORD = "a long enough password"


@pytest.fixture
def somebody() -> User:
    return User.objects.create_superuser(new_id(), password=PASSWORD)


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Client:
    """A browser of its own address, signed in nowhere, in a minute without failures of
    others: only so many are told."""
    monkeypatch.setattr(authentication, "_minute", authentication._Minute())
    return Client(REMOTE_ADDR=new_id())


def sign_in(browser: Client, name: str, password: str = PASSWORD) -> Any:
    return browser.post(LOGIN, {"username": name, "password": password})


def rows_about(entity_id: str) -> list[AdminAuditEvent]:
    found = AdminAuditEvent.objects.filter(entity_id=entity_id)
    return list(found.order_by("position"))


def test_a_person_who_comes_and_goes_leaves_a_row_each(
    browser: Client, somebody: User
) -> None:
    assert sign_in(browser, somebody.username).status_code == 302
    assert browser.get("/admin/").status_code == 200
    assert browser.post(LOGOUT).status_code == 200
    assert browser.get("/admin/").status_code == 302
    came, went = rows_about(f"console:{somebody.pk}")
    assert came.payload_json == {
        "event": "console.signed_in",
        "source": browser.defaults["REMOTE_ADDR"],
    }
    assert went.payload_json["event"] == "console.signed_out"
    assert came.actor_name == went.actor_name == somebody.username
    assert (came.path, went.path) == (LOGIN, LOGOUT)


def test_nobody_leaves_twice_and_looking_is_no_sign_in(
    browser: Client, somebody: User
) -> None:
    browser.get(LOGIN)
    sign_in(browser, somebody.username)
    browser.get(LOGIN)
    browser.post(LOGOUT)
    browser.post(LOGOUT)
    assert len(rows_about(f"console:{somebody.pk}")) == 2


@pytest.mark.parametrize("is_known", [True, False])
def test_a_failure_leaves_one_row_a_minute_and_no_password(
    browser: Client, somebody: User, is_known: bool
) -> None:
    typed = somebody.username if is_known else "my-password-in-the-wrong-place"
    for _ in range(3):
        response = sign_in(browser, typed, "wrong password")
        assert response.status_code == 200
    rows = rows_about(browser.defaults["REMOTE_ADDR"])
    assert 1 <= len(rows) <= 2
    told = rows[0].payload_json
    assert told["error"] == "sign_in_refused"
    assert told["door"] == "console"
    assert told.get("username") == (somebody.username if is_known else None)
    assert "password" not in str(told)
    assert rows[0].actor_id is None


def test_who_may_not_use_the_console_fails_like_a_stranger(browser: Client) -> None:
    person = User.objects.create_user(new_id(), password=PASSWORD)
    assert sign_in(browser, person.username).status_code == 200
    [row, *_] = rows_about(browser.defaults["REMOTE_ADDR"])
    assert row.payload_json["error"] == "sign_in_refused"
    assert not rows_about(f"console:{person.pk}")


def test_without_evidence_there_is_no_sign_in(browser: Client, somebody: User) -> None:
    browser.raise_request_exception = False
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse_sign_in() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'no room for evidence'; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER refuse_sign_in BEFORE INSERT ON admin_audit_events FOR"
            f" EACH ROW WHEN (NEW.entity_id = 'console:{somebody.pk}')"
            " EXECUTE FUNCTION refuse_sign_in()"
        )
    try:
        assert sign_in(browser, somebody.username).status_code == 500
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION refuse_sign_in CASCADE")
    assert browser.get("/admin/").status_code == 302


def test_the_trail_shows_who_came(console: Client, somebody: User) -> None:
    browser = Client(REMOTE_ADDR=new_id())
    sign_in(browser, somebody.username)
    [row] = rows_about(f"console:{somebody.pk}")
    page = asking.text(console.get(asking.change(row)))
    assert "Somebody signed in to the console." in page
