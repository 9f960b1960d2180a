"""Who presents an admin token. Asked by every request, so it costs one statement.

Nothing about a token is remembered between requests but digests, and these only to
refuse: a token counts from the moment it is minted until the moment it is revoked.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from queue import SimpleQueue
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from psycopg_pool import PoolTimeout

from caracal_site import sealing, statements
from caracal_site.actors import Actor, ActorKind
from caracal_site.ids import is_id
from zones import rules
from zones.models import AdminToken, TokenCapability, Zone

PURPOSE = "admin_token"
# More tokens than this are not held in memory to tell guesses apart.
KNOWN_DIGESTS = 20_000
KNOWN_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """The bearer of a token in force, and the live zone its route names, marked with
    ``is_reserved``. ``is_stale`` says that its last use is to be noted."""

    actor: Actor
    is_stale: bool
    zone: Any = None


def token_digest(plain: str) -> bytes:
    """What an admin token is stored and looked up as."""
    return sealing.digest(PURPOSE, plain)


def find_caller(digest: bytes, *, zone_id: str | None = None) -> Caller | None:
    """Who presents the token with this digest, if it is in force."""
    asked = {
        "digest": digest,
        "zone_id": zone_id if zone_id and is_id(zone_id) else None,
        "debounce_seconds": settings.ADMIN_TOKEN_LAST_USED_DEBOUNCE_SEC,
    }
    found = statements.fetch_rows(_statement(), asked, binary=True)
    if not found:
        return None
    token_id, name, scope, capability, own_zone, created_by, is_stale, *zone = found[0]
    actor = Actor(
        kind=ActorKind.ADMIN_TOKEN,
        id=token_id,
        name=name,
        scope=scope,
        zone_id=own_zone,
        can_write=capability == TokenCapability.WRITE,
        created_by=created_by,
    )
    return Caller(actor, is_stale, _zone(zone) if any(zone) else None)


@cache
def _statement() -> str:
    columns = (f"z.{field.column}" for field in Zone._meta.concrete_fields)
    return statements.load("zones/admin_caller").replace("{zone}", ", ".join(columns))


def _zone(values: list[Any]) -> Any:
    names = [field.attname for field in Zone._meta.concrete_fields]
    zone: Any = Zone.from_db(connection.alias, names, values)
    zone.is_reserved = rules.is_reserved_zone(zone.name, zone.slug)
    return zone


class _Known:
    """The digests of the tokens in force, as of a second ago at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._digests: frozenset[bytes] | None = None
        self._read_at = float("-inf")

    def __contains__(self, digest: bytes) -> bool:
        with self._lock:
            if time.monotonic() - self._read_at >= KNOWN_SECONDS:
                self._digests = self._read()
                self._read_at = time.monotonic()
            return self._digests is None or digest in self._digests

    def forget(self) -> None:
        with self._lock:
            self._read_at = float("-inf")

    def _read(self) -> frozenset[bytes] | None:
        usable = AdminToken.objects.usable().values_list("digest", flat=True)
        found = frozenset(bytes(digest) for digest in usable[: KNOWN_DIGESTS + 1])
        return found if len(found) <= KNOWN_DIGESTS else None


_known = _Known()


def may_be_in_force(digest: bytes) -> bool:
    """Whether looking the token up is worth a statement.

    For callers who guess: however many tokens they try, the database is asked once a
    second. A token that another process minted within that second may be taken for a
    guess.
    """
    return digest in _known


def expect_new_token() -> None:
    """Called when a token was minted here."""
    _known.forget()


# Last use.


def note_use(token_id: str) -> None:
    """Has ``mark_used`` run soon, in a thread of its own: no request waits for it."""
    with _waiting_lock:
        if token_id in _waiting:
            return
        _waiting.add(token_id)
    _queue().put(token_id)


def mark_used(token_id: str) -> None:
    """Notes that a token is in use, unless that is noted already or being noted."""
    before = Now() - timedelta(seconds=settings.ADMIN_TOKEN_LAST_USED_DEBOUNCE_SEC)
    stale = AdminToken.objects.filter(
        Q(last_used_at=None) | Q(last_used_at__lt=before), id=token_id
    )
    with transaction.atomic():
        free = stale.select_for_update(skip_locked=True, no_key=True)
        AdminToken.objects.filter(id__in=free.values("id")).update(last_used_at=Now())


_waiting: set[str] = set()
_waiting_lock = threading.Lock()


@cache
def _queue() -> SimpleQueue[str]:
    queue: SimpleQueue[str] = SimpleQueue()
    threading.Thread(
        target=_note_uses, args=(queue,), name="last-use", daemon=True
    ).start()
    return queue


def _note_uses(queue: SimpleQueue[str]) -> None:
    while True:
        token_id = queue.get()
        try:
            mark_used(token_id)
        except (DatabaseError, PoolTimeout):
            log.warning("last use not noted", extra={"token_id": token_id})
        finally:
            connection.close()
            with _waiting_lock:
                _waiting.discard(token_id)
