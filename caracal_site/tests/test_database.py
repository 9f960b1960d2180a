"""What the database says, in the platform's own words; locks and statements."""

from __future__ import annotations

import psycopg
import pytest
from django.db import (
    DatabaseError,
    IntegrityError,
    OperationalError,
    connection,
    transaction,
)
from psycopg import errors as pg
from psycopg_pool import PoolTimeout

from caracal_site import database, locks, statements
from caracal_site.database import Changed
from caracal_site.errors import (
    CaracalError,
    InvalidBody,
    LockTimeout,
    ServiceUnavailable,
    ZoneNotFound,
)
from caracal_site.testing.races import Threads, wait_for
from zones.models import Zone


def raised(
    cause: BaseException, kind: type[DatabaseError] = OperationalError
) -> DatabaseError:
    error = kind(str(cause))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (raised(pg.LockNotAvailable("x")), LockTimeout),
        (raised(pg.DeadlockDetected("x")), LockTimeout),
        (raised(pg.SerializationFailure("x")), LockTimeout),
        (raised(pg.UntranslatableCharacter("x"), DatabaseError), InvalidBody),
        (raised(pg.AdminShutdown("x")), ServiceUnavailable),
        (raised(pg.CannotConnectNow("x")), ServiceUnavailable),
        (raised(pg.TooManyConnections("x")), ServiceUnavailable),
        (raised(pg.ConnectionFailure("x")), ServiceUnavailable),
        (
            raised(psycopg.OperationalError("the connection is closed")),
            ServiceUnavailable,
        ),
        (raised(PoolTimeout("x")), ServiceUnavailable),
        (PoolTimeout("x"), ServiceUnavailable),
        (raised(pg.QueryCanceled("statement timeout")), ServiceUnavailable),
        (raised(pg.DiskFull("x")), ServiceUnavailable),
        (raised(pg.OutOfMemory("x")), ServiceUnavailable),
        (raised(pg.UndefinedTable("x"), DatabaseError), type(None)),
        (raised(pg.DivisionByZero("x"), DatabaseError), type(None)),
    ],
    ids=lambda part: repr(part)[:40],
)
def test_an_error_of_the_database_has_a_name(
    error: BaseException, kind: type[CaracalError]
) -> None:
    assert type(database.translate(error)) is kind


def test_a_violated_constraint_is_the_refusal_it_stands_for(zone: Zone) -> None:
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        Zone.objects.create(name="again", slug=zone.slug)
    assert database.violated(caught.value) == "zones_slug_live_key"
    with (
        pytest.raises(ZoneNotFound),
        database.refused("zones_slug_live_key", ZoneNotFound),
    ):
        raise caught.value
    with (
        pytest.raises(IntegrityError) as same,
        database.refused("another", ZoneNotFound),
    ):
        raise caught.value
    assert same.value is caught.value
    assert database.violated(IntegrityError("bare")) == ""


@pytest.mark.parametrize("error", [Changed(), raised(pg.DeadlockDetected("x"))])
def test_a_transaction_that_lost_a_race_runs_again(error: Exception) -> None:
    left: list[Exception | str] = [error, error, "done"]

    def attempt() -> str:
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert database.retried(attempt) == "done"


def test_the_third_lost_race_is_told() -> None:
    def attempt() -> None:
        raise Changed

    with pytest.raises(LockTimeout):
        database.retried(attempt)


def test_other_errors_are_not_tried_again() -> None:
    calls: list[int] = []

    def attempt() -> None:
        calls.append(1)
        raise raised(pg.AdminShutdown("x"))

    with pytest.raises(OperationalError):
        database.retried(attempt)
    assert calls == [1]


def test_a_lock_outside_a_transaction_is_refused() -> None:
    with pytest.raises(locks.OutsideTransaction):
        locks.lock(locks.LockClass.RECEIPT, "x")


def test_a_lock_keeps_others_of_its_name_out_until_the_end(zone: Zone) -> None:
    order: list[str] = []

    @transaction.atomic
    def second() -> None:
        locks.lock(locks.LockClass.RECEIPT, zone.id)
        order.append("second")

    with Threads(1) as threads:
        with transaction.atomic():
            locks.lock(locks.LockClass.RECEIPT, zone.id)
            waiting = threads.start(second)
            wait_for(1)
            order.append("first")
        waiting.result()
    assert order == ["first", "second"]


def test_locks_of_different_kinds_never_meet(zone: Zone) -> None:
    """W32: all locks shared one key space, so that those of unrelated things waited for
    each other or deadlocked."""

    @transaction.atomic
    def lock_the_others() -> None:
        for kind in locks.LockClass:
            if kind is not locks.LockClass.RECEIPT:
                locks.lock(kind, zone.id)

    with Threads(1) as threads, transaction.atomic():
        locks.lock(locks.LockClass.RECEIPT, zone.id)
        threads.start(lock_the_others).result()


def test_a_held_lock_is_one_s_own_or_none(zone: Zone) -> None:
    def try_them(*names: str) -> list[str]:
        with locks.held(locks.LockClass.JOB, *names) as obtained:
            return obtained

    other = zone.id + "x"
    with Threads(1) as threads, locks.held(locks.LockClass.JOB, zone.id) as mine:
        assert mine == [zone.id]
        assert threads.start(try_them, zone.id).result() == []
        assert threads.start(try_them, zone.id, other).result() == [other]
    assert sorted(try_them(zone.id, other)) == [zone.id, other]


def test_statements_are_found_by_name_and_their_parts_put_in() -> None:
    text = statements.load("delegations/walk")
    assert "include:" not in text
    assert "caller AS (" in text
    with pytest.raises(FileNotFoundError):
        statements.load("agents/nothing")


def test_a_statement_that_must_return_a_row_and_does_not_is_a_fault() -> None:
    with pytest.raises(LookupError):
        statements.fetch_text("SELECT 1 WHERE false", {})
    assert connection.in_atomic_block is False
