"""Who came in, who went, and who tried: evidence of the platform's own chain.

Failed attempts come from strangers and cost them nothing, so a source leaves one row a
minute at each door, and all sources together ``ROWS_A_MINUTE`` in a process; the rest
is counted only (D23).
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from django.db import transaction

from audit.events import AuthenticationFailed, SignedIn, SignedOut
from audit.record import prepare
from audit.record import record as record_event
from caracal_site import context, statements
from caracal_site.actors import Actor, ActorKind
from caracal_site.errors import CaracalError

ROWS_A_MINUTE = 600
PATH_LENGTH = 512
STRANGER = Actor(kind=ActorKind.STRANGER, id="", name="")


@transaction.atomic
def signed_in(actor: Actor) -> None:
    """Leaves one row about the person at the console."""
    source = context.current().source
    record_event(actor, SignedIn(zone_id=None, entity_id=actor.id, source=source))


@transaction.atomic
def signed_out(actor: Actor) -> None:
    """Leaves one row about the person who was at the console."""
    source = context.current().source
    record_event(actor, SignedOut(zone_id=None, entity_id=actor.id, source=source))


def failed(door: str, error: CaracalError, *, username: str = "") -> None:
    """Leaves one row about the failures of this source at ``door`` in this minute."""
    request = context.current()
    source = request.source or "unknown"
    if not _minute.is_first(door, source):
        return
    context.activate(
        replace(request, status=error.status, path=request.path[:PATH_LENGTH])
    )
    event = AuthenticationFailed(
        zone_id=None,
        entity_id=source[:PATH_LENGTH],
        door=door,
        code=error.code,
        username=username,
    )
    evidence = prepare(STRANGER, event, is_one_statement=True)
    statements.execute(
        "audit/failed_authentication",
        {"evidence_audit": evidence.audit, "subject": f"{door}|{source}"},
    )
    context.activate(request)


class _Minute:
    """The sources of the running minute that this process has written about."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute = 0
        self._seen: set[tuple[str, str]] = set()

    def is_first(self, door: str, source: str) -> bool:
        minute = int(time.time() // 60)
        with self._lock:
            if minute != self._minute:
                self._minute, self._seen = minute, set()
            if (door, source) in self._seen or len(self._seen) >= ROWS_A_MINUTE:
                return False
            self._seen.add((door, source))
            return True


_minute = _Minute()
