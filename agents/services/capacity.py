"""Room for live agents, shared out over slots so that spawns do not queue (D9).

The fast path is a guarded update of one slot inside the spawn statement. Only when a
slot is full, or the cap was changed or closed, are all slots of the scope locked and
the free room shared out again.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from django.db import connection

from agents import rules
from agents.models import Capacity

SLOTS = 16
CLOSED = -1


def any_slot() -> int:
    return random.randrange(SLOTS)  # noqa: S311 - spreads load, guards nothing


def make_room(scope_id: str, *, cap: int, slot: int) -> bool:
    """Shares the free room of the scope out again; False when there is none.

    Afterwards ``slot`` has room for one, and the caller holds the lock on every slot.
    A closed scope (archived) has none.
    """
    lives = _locked_slots(scope_id)
    if lives is None:
        return False
    quotas = rules.shared_out(cap, lives, slot)
    if quotas is None:
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE agent_capacity c SET quota = t.quota, cap = %s"
            " FROM unnest(%s::int[]) WITH ORDINALITY AS t (quota, place)"
            " WHERE c.scope_id = %s AND c.slot = t.place - 1",
            [cap, quotas, scope_id],
        )
    return True


def close(scope_ids: list[str]) -> None:
    """No agent is spawned in these scopes from now on: the archived ones."""
    for scope_id in sorted(scope_ids):
        _locked_slots(scope_id)
        Capacity.objects.filter(scope_id=scope_id).update(cap=CLOSED, quota=0)


def _locked_slots(scope_id: str) -> list[int] | None:
    """The live counts of every slot, each locked; None when the scope is closed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO agent_capacity (scope_id, slot, live, quota, cap)"
            " SELECT %s, slot, 0, 0, 0 FROM generate_series(0, %s) AS slot"
            " ON CONFLICT DO NOTHING",
            [scope_id, SLOTS - 1],
        )
        cursor.execute(
            "SELECT live, cap FROM agent_capacity WHERE scope_id = %s"
            " ORDER BY slot FOR UPDATE",
            [scope_id],
        )
        rows = cursor.fetchall()
    return None if any(cap == CLOSED for _, cap in rows) else [live for live, _ in rows]


def released(counts: Mapping[str, int]) -> dict[str, object]:
    """Parameters that give back ``counts`` places by scope, in one fixed order."""
    scopes = sorted(counts)
    return {
        "room_scopes": scopes,
        "room_counts": [counts[scope] for scope in scopes],
        "room_slot": any_slot(),
    }
