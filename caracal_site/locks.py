"""Advisory locks by name: two-integer keys, a class and a hash of the subject.

Order, where several are needed: row locks first, then advisory locks in the order of
``LockClass``. Transaction locks are released by COMMIT or ROLLBACK; the connection's
``lock_timeout`` bounds the wait, and a timeout becomes 409 ``busy``.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from django.db import connection


class LockClass(IntEnum):
    ADMIN_TOKENS = 1
    ZONE_SLUG = 2
    DELEGATION_GRAPH = 3
    SIGNING_KEYS = 4
    AUDIT_SEAL = 5
    OUTBOX_ZONE = 6
    JOB = 7
    PROVIDER_IDENTIFIER = 8
    RESOURCE_IDENTIFIER = 9
    RECEIPT = 10
    STEP_UP = 11
    AUDIT_RETENTION = 12


class OutsideTransaction(RuntimeError):
    """A transaction lock was asked for outside a transaction."""


def _key(subject: str) -> int:
    unsigned = zlib.crc32(subject.encode())
    return unsigned - (1 << 32) if unsigned >= 1 << 31 else unsigned


def lock(kind: LockClass, subject: str) -> None:
    """Waits for the exclusive transaction lock of (kind, subject)."""
    if not connection.in_atomic_block:
        raise OutsideTransaction(f"{kind.name} lock needs a transaction")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, %s)", [int(kind), _key(subject)]
        )


@contextmanager
def held(kind: LockClass, *subjects: str) -> Iterator[list[str]]:
    """Tries the session lock of each (kind, subject); yields the subjects obtained.

    For jobs that must span several transactions. A process that dies loses its
    connection and with it the locks.
    """
    keys = {subject: _key(subject) for subject in subjects}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT subject FROM unnest(%s::text[], %s::int[]) AS t (subject, key)"
            " WHERE pg_try_advisory_lock(%s, key)",
            [list(keys), list(keys.values()), int(kind)],
        )
        obtained = [str(subject) for (subject,) in cursor.fetchall()]
    try:
        yield obtained
    finally:
        if obtained and connection.connection is not None:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_advisory_unlock(%s, key) FROM unnest(%s::int[]) AS key",
                    [int(kind), [keys[subject] for subject in obtained]],
                )
