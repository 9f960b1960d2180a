"""Authority sessions: ended when their time is over, or before it."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.db import transaction

from audit.events import Event
from caracal_site import statements
from tokens.events import SessionRevoked


@transaction.atomic
def revoke_sessions(
    *,
    zone_id: str,
    client_ids: Sequence[str] | None,
    reason: str,
    producer: str = "api",
    user_id: str | None = None,
    grant_id: str | None = None,
) -> list[Event]:
    """Ends the zone's active sessions, of these clients or of all (None), and all
    sessions that descend from them. What was ended before keeps its time and reason.
    With ``user_id`` only that user's; ``grant_id`` is told when a grant is the cause.

    Returns the news of it; the caller records them with the change that is the cause.
    A caller that archives the application or zone does so before, in the same
    transaction: tokens being issued wait for that row, and so none is missed here.
    """
    ended = statements.fetch_all(
        "tokens/revoke_sessions",
        {**_asked(zone_id, client_ids, user_id), "reason": reason},
    )
    return [
        SessionRevoked(
            zone_id=zone_id,
            entity_id=str(session_id),
            reason=reason,
            producer=producer,
            grant_id=grant_id,
        )
        for (session_id,) in ended
    ]


@transaction.atomic
def revoke_session(
    session_id: str, *, zone_id: str, client_id: str, reason: str
) -> list[Event]:
    """``revoke_sessions`` for one session of the client and what descends from it."""
    asked = {"session_id": session_id, "zone_id": zone_id, "client_id": client_id}
    ended = statements.fetch_all("tokens/revoke_session", {**asked, "reason": reason})
    return [
        SessionRevoked(zone_id=zone_id, entity_id=str(ended_id), reason=reason)
        # What was asked for first: it is what the audit row is about.
        for (ended_id,) in sorted(ended, key=lambda row: row[0] != session_id)
    ]


def preview_revocation(
    *, zone_id: str, client_ids: Sequence[str] | None, user_id: str | None = None
) -> tuple[str, ...]:
    """The sessions ``revoke_sessions`` would end."""
    asked = _asked(zone_id, client_ids, user_id)
    found = statements.fetch_all("tokens/foresee_sessions", asked)
    return tuple(str(session_id) for (session_id,) in found)


def _asked(
    zone_id: str, client_ids: Sequence[str] | None, user_id: str | None
) -> dict[str, object]:
    chosen = None if client_ids is None else list(client_ids)
    return {"zone_id": zone_id, "client_ids": chosen, "user_id": user_id}


def expire_sessions() -> int:
    """Marks every session past its time; returns how many. Each batch commits."""
    expired = 0
    while True:
        batch = statements.execute(
            "tokens/expire_sessions", {"batch": settings.SWEEPER_BATCH_SIZE}
        )
        expired += batch
        if batch < settings.SWEEPER_BATCH_SIZE:
            return expired
