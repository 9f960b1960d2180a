"""The leases of service agents: what rests, goes on or ends with them (D18).

The jobs pick ids without locks; each agent is then locked from its parent down, looked
at again and acted on in a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from agents.events import AgentResumed
from agents.models import AgentSession
from agents.rules import LEASE_LOST
from agents.services.ending import headline
from agents.services.suspension import suspend_agent
from audit import record
from caracal_site import actors, database, statements
from caracal_site.actors import Actor
from caracal_site.database import Changed
from caracal_site.jobs import Outcome, Sweep
from delegations.services import ending as falling
from tokens.bearer import caller_parameters

ROUNDS = 8
UNSEEN = "service_unseen"


def suspend_lapsed_services(limit: int = 500) -> Outcome:
    """Suspends the services whose lease ran out, with what is active below them."""
    sweep = Sweep()
    zones = AgentSession.objects.leased().filter(
        status="active", heartbeat_deadline_at__lte=Now()
    )
    for zone_id in zones.values_list("zone_id", flat=True).distinct().order_by():
        for agent_id in _lapsed(zone_id, limit):
            sweep.carry_out(zone_id, partial(_suspend_lapsed, zone_id, agent_id))
    return sweep.outcome()


def suspend_lapsed(zone_id: str, agent_id: str) -> int:
    """Suspends the agent and the active ones below it if its lease ran out; how many.
    Raises LockTimeout."""
    with database.patient():
        return database.retried(partial(_suspend_lapsed, zone_id, agent_id))


def _lapsed(zone_id: str, limit: int) -> Iterator[str]:
    """The ids of the zone's services past their lease, each once."""
    found = [("",)]
    while found:
        after = found[-1][0]
        found = statements.fetch_all(
            "agents/lapsed", {"zone_id": zone_id, "after": after, "limit": limit}
        )
        yield from (str(row[0]) for row in found)


@transaction.atomic
def _suspend_lapsed(zone_id: str, agent_id: str) -> int:
    actor = replace(actors.system("suspend-agent-services"), zone_id=zone_id)
    named = {"zone_id": zone_id, "id": agent_id, "service_id": None}
    nothing = {"metadata": "{}", "dropped": [], "metadata_bytes": 0}
    *_, found = statements.fetch_one(
        "agents/lease", {**caller_parameters(actor, zone_id), **named, **nothing}
    )
    facts = orjson.loads(found) if found else {}
    if not (facts and facts["is_lapsed"] and facts["status"] == "active"):
        return 0
    return suspend_agent(actor, zone_id=zone_id, agent_id=agent_id, reason=LEASE_LOST)


def wake(actor: Actor, zone_id: str, agent_id: str) -> int:
    """Resumes an agent that rests because its lease ran out, and what rests with it.
    The agent and its parent are locked, and the parent is active."""
    named = {"id": agent_id, "reason": LEASE_LOST}
    held = {agent_id}
    for _round in range(ROUNDS):
        tree = statements.fetch_all("agents/resting", named)
        wanted = {str(row[0]) for row in tree} - held
        if not wanted:
            break
        statements.execute("agents/hold", {"ids": list(wanted)})
        held |= wanted
    else:
        raise Changed
    event = AgentResumed(zone_id=zone_id, entity_id=agent_id, agents=len(tree))
    evidence = record.prepare(actor, event, reason="heartbeat")
    ids = [row[0] for row in tree]
    changes = {"id": agent_id, "ids": ids, **evidence.parameters()}
    statements.fetch_one("agents/wake", changes)
    record.written(evidence)
    return len(tree)


def end_unseen_services(limit: int = 500) -> Outcome:
    """Ends the services that were not heard from for a day, with what hangs on them,
    zone by zone."""
    sweep = Sweep()
    zones = AgentSession.objects.leased().filter(heartbeat_deadline_at__lte=Now())
    for zone_id in zones.values_list("zone_id", flat=True).distinct().order_by():
        sweep.drain(zone_id, partial(_end_unseen, zone_id, limit), limit)
    return sweep.outcome()


@transaction.atomic
def _end_unseen(zone_id: str, limit: int) -> int:
    named = {
        "zone_id": zone_id,
        "unseen_seconds": settings.SERVICE_UNSEEN_SECONDS,
        "limit": limit,
        "among": None,
    }
    picked = statements.fetch_all("agents/unseen", named)
    held = sorted({str(id_) for row in picked for id_ in row if id_ is not None})
    if not held:
        return 0
    statements.execute("agents/hold", {"ids": held})
    again = statements.fetch_all(
        "agents/unseen", {**named, "among": [row[0] for row in picked]}
    )
    unseen = [str(row[0]) for row in again]
    if not unseen:
        return 0
    fall = falling.carry_out(
        actors.system("end-unseen-services"),
        zone_id,
        headline=lambda fall: headline(zone_id, unseen[0], fall),
        reason=UNSEEN,
        agent_ids=unseen,
        locked=held,
    )
    return len(fall.agents)
