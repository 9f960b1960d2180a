"""Receipts: the first answer to a keyed request, given again to its repeats (D7).

A receipt belongs to (caller, route, key). Its body is sealed, because the first answer
to some creates holds a secret that is shown once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection

from caracal_site import locks, sealing
from caracal_site.errors import IdempotencyKeyConflict, InvalidIdempotencyKey
from caracal_site.models import Receipt

MAX_KEY_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Kept:
    """A remembered answer: status and JSON text."""

    status: int
    body: str


def key_of(header: str | None) -> str | None:
    """The trimmed key; None when absent or blank. Raises InvalidIdempotencyKey."""
    key = (header or "").strip()
    if not key:
        return None
    if len(key) > MAX_KEY_LENGTH or not key.isascii() or not key.isprintable():
        raise InvalidIdempotencyKey
    return key


def fingerprint_of(body: Any) -> str:
    """What makes two bodies the same: their canonical JSON, as a keyed digest, since
    a secret that people chose could be guessed from a plain one."""
    canonical = orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()
    return sealing.digest("receipt", canonical).hex()


def claim(caller: str, route: str, key: str, fingerprint: str) -> Kept | None:
    """The kept answer, or None and from then on the only one to make it.

    Concurrent requests with one key queue here until the first commits. Raises
    IdempotencyKeyConflict when the key was used with another body.
    """
    locks.lock(locks.LockClass.RECEIPT, f"{caller}|{route}|{key}")
    found = Receipt.objects.filter(caller=caller, route=route, key=key).first()
    if found is None:
        return None
    return judge(
        caller, route, key, fingerprint, found.fingerprint, found.status, found.body
    )


def judge(
    caller: str,
    route: str,
    key: str,
    fingerprint: str,
    kept: str,
    status: int,
    sealed: str,
) -> Kept:
    """The kept answer when it was to the same body, else IdempotencyKeyConflict."""
    if kept != fingerprint:
        raise IdempotencyKeyConflict
    body = sealing.unseal(bytes.fromhex(sealed), _identity(caller, route, key))
    return Kept(status, body.decode())


def seal(caller: str, route: str, key: str, body: str) -> str:
    return sealing.seal(body.encode(), _identity(caller, route, key)).hex()


def keep(
    caller: str, route: str, key: str, fingerprint: str, status: int, body: str
) -> None:
    """Remembers the answer, in the transaction of the change it is about."""
    if not connection.in_atomic_block:
        raise RuntimeError("a receipt is kept in the transaction of its change")
    Receipt.objects.create(
        caller=caller,
        route=route,
        key=key,
        fingerprint=fingerprint,
        status=status,
        body=seal(caller, route, key, body),
    )


def _identity(caller: str, route: str, key: str) -> str:
    return f"receipt|{caller}|{route}|{key}"
