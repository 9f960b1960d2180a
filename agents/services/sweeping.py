"""Ends of agents that nobody asks for, found and carried out by jobs.

A sweep picks ids without locks; each zone's are then ended in a transaction of their
own, which locks and looks again, so several workers do no harm. It goes on until
nothing is found. A zone that fails is left for the next run and keeps no other waiting.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby

from django.db import transaction

from agents.models import AgentSession
from agents.services.ending import end_due_agents, headline
from caracal_site import actors, statements
from caracal_site.jobs import Outcome, Sweep
from delegations.services import ending as falling


def expire_due_agents(limit: int = 500) -> Outcome:
    """Expires agents past their time, zone by zone."""
    sweep = Sweep()
    zones = AgentSession.objects.live().overdue().values_list("zone_id", flat=True)
    for zone_id in zones.distinct().order_by("zone_id"):
        sweep.drain(zone_id, partial(_end_due, zone_id, limit), limit)
    return sweep.outcome()


@transaction.atomic
def _end_due(zone_id: str, limit: int) -> int:
    return end_due_agents(zone_id, limit)


def end_stranded_agents(limit: int = 500) -> Outcome:
    """Ends agents whose zone, application or authority session ended without them."""
    sweep, found = Sweep(), limit
    while found >= limit:
        picked = statements.fetch_all(
            "agents/stranded", {"limit": limit, "skipped": list(sweep.failed)}
        )
        found = len(picked)
        for (zone_id, reason), rows in groupby(picked, key=lambda row: row[:2]):
            ids = [str(row[2]) for row in rows]
            sweep.carry_out(zone_id, partial(_end_stranded, zone_id, reason, ids))
    return sweep.outcome()


@transaction.atomic
def _end_stranded(zone_id: str, reason: str, agent_ids: Sequence[str]) -> int:
    # What was lost does not come back, so only the agents are looked at again.
    fall = falling.carry_out(
        actors.system("end-stranded-agents"),
        zone_id,
        headline=lambda fall: headline(zone_id, agent_ids[0], fall),
        reason=reason,
        agent_ids=list(agent_ids),
    )
    return len(fall.agents)
