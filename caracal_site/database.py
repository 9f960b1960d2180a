"""What the database says, as the platform's own errors."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psycopg
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
)
from psycopg_pool import PoolTimeout

from caracal_site.errors import (
    CaracalError,
    InvalidBody,
    LockTimeout,
    ServiceUnavailable,
)

T = TypeVar("T")
DIVISION_BY_ZERO = "22012"
LOCK_NOT_AVAILABLE = "55P03"
RETRYABLE = {"40001", "40P01"}  # serialization failure, deadlock
# Connection lost, out of resources, stopped by an operator or a timeout, disk trouble.
UNAVAILABLE = ("08", "53", "57", "58")
BAD_TEXT = {"22021", "22P05"}  # NUL and unencodable characters
ATTEMPTS = 3
# How long the victim of a deadlock lets the other go first: started at once, it may
# take its first lock again before the survivor has woken up to take it.
YIELDED_S = (0.01, 0.03)


class Changed(Exception):
    """What a transaction had read was changed before it could write: run it again."""


def sqlstate(error: BaseException) -> str:
    cause = error.__cause__ if isinstance(error, DatabaseError) else error
    return getattr(cause, "sqlstate", None) or ""


def translate(error: BaseException) -> CaracalError | None:
    """The platform's error for a database error, or None when there is none."""
    state = sqlstate(error)
    if state == LOCK_NOT_AVAILABLE or state in RETRYABLE:
        return LockTimeout()
    if state in BAD_TEXT:
        return InvalidBody(sentence="Text must not contain NUL characters.")
    if isinstance(error, PoolTimeout | psycopg.OperationalError | InterfaceError):
        return ServiceUnavailable()
    if isinstance(error, OperationalError) and (
        not state or state.startswith(UNAVAILABLE)
    ):
        return ServiceUnavailable()
    return None


def violated(error: IntegrityError) -> str:
    """The name of the constraint ``error`` is about, or an empty string."""
    cause = error.__cause__
    return (
        (getattr(getattr(cause, "diag", None), "constraint_name", "") or "")
        if cause
        else ""
    )


@contextmanager
def refused(constraint: str, error: type[CaracalError]) -> Iterator[None]:
    """Raises ``error`` when the block violates ``constraint``."""
    try:
        yield
    except IntegrityError as violation:
        if violated(violation) != constraint:
            raise
        raise error from violation


@contextmanager
def patient() -> Iterator[None]:
    """Raises LockTimeout when the block waited for a lock longer than anybody may."""
    try:
        yield
    except OperationalError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        raise LockTimeout from None


@contextmanager
def undone(error: type[Exception]) -> Iterator[None]:
    """Raises ``error`` when a statement undid itself by a division by zero, which is
    how one that is a whole transaction takes back all it has written."""
    try:
        yield
    except DataError as failure:
        if sqlstate(failure) != DIVISION_BY_ZERO:
            raise
        raise error from None


def retried(attempt: Callable[[], T]) -> T:
    """Runs ``attempt``, again when it fell victim to a deadlock or met a change.
    It must be a whole transaction of its own."""
    for last in (False,) * (ATTEMPTS - 1) + (True,):
        try:
            return attempt()
        except OperationalError as error:
            if last or sqlstate(error) not in RETRYABLE:
                raise
            time.sleep(random.uniform(*YIELDED_S))  # noqa: S311 - spreads, not secret
        except Changed:
            if last:
                raise LockTimeout from None
    raise AssertionError("unreachable")
