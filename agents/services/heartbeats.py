"""Heartbeats: an agent says that it is there, and how its service is (D18).

Renewing a lease is one statement that writes in place and leaves no evidence, because
nothing that anybody may do changes with it. What does change, an agent that rests or
goes on, is recorded like every change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction

from agents import errors, rules
from agents.services import leases
from agents.services.ending import may_manage
from caracal_site import statements
from caracal_site.actors import COORDINATOR_ADMIN, SPAWN_FOR, Actor
from tokens.bearer import caller_parameters, refuse_dead_caller

# As much as heartbeats may bring together in a service record.
METADATA_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a heartbeat says. ``generation`` is the lease the agent believes to hold;
    the rest is about the service record, if one is named. A member of ``metadata``
    that is None is dropped there."""

    generation: int | None = None
    service_id: str | None = None
    status: str = "healthy"
    active_invocations: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)


def heartbeat(actor: Actor, *, zone_id: str, agent_id: str, report: Report) -> bytes:
    """Renews the agent's lease; the answer as JSON text.

    An agent that rests because its lease ran out goes on, with what rested with it.
    One whose lease has just run out is refused with LeaseExpired; the one who asked
    then calls ``suspend_lapsed``, when the refused transaction is over.
    Raises AgentNotFound, ApplicationOwnershipRequired, OutsideAgentSubtree,
    AgentNotLive, LeaseSuperseded, ServiceNotFound, or InvalidBody for metadata that
    would outgrow the record.
    """
    named = _parameters(actor, zone_id, agent_id, report)
    statement = "heartbeat_of_service" if report.service_id else "heartbeat"
    agent, service = statements.fetch_one(f"agents/{statement}", named)
    if agent is None:
        agent, service = _judged(actor, zone_id, agent_id, report, named)
    if report.service_id and service is None:
        raise errors.ServiceNotFound
    return (
        f'{{"agent":{agent},"service":{service or "null"},'
        f'"active_invocations":{report.active_invocations}}}'
    ).encode()


@transaction.atomic
def _judged(
    actor: Actor, zone_id: str, agent_id: str, report: Report, named: dict[str, Any]
) -> tuple[str, str | None]:
    """The heartbeat of an agent that is not simply active, or why there is none."""
    zone_live, identity_live, agent_live, found = statements.fetch_one(
        "agents/lease", named
    )
    refuse_dead_caller(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    if found is None:
        raise errors.AgentNotFound
    facts: dict[str, Any] = orjson.loads(found)
    if not may_manage(actor, facts["application_id"]):
        raise errors.ApplicationOwnershipRequired
    bound = actor.agent_session_id
    if bound and not rules.within_subtree(bound, agent_id, facts["ancestor_ids"]):
        raise errors.OutsideAgentSubtree
    refusal = rules.heartbeat_refusal(
        facts, generation=report.generation, names_service=report.service_id is not None
    )
    if refusal:
        raise refusal
    if rules.wakes(facts):
        leases.wake(actor, zone_id, agent_id)
    agent, service = statements.fetch_one("agents/renew_locked", named)
    return str(agent), service


def _parameters(
    actor: Actor, zone_id: str, agent_id: str, report: Report
) -> dict[str, Any]:
    caller = caller_parameters(actor, zone_id)
    if actor.agent_session_id == agent_id:
        # Whether it is live itself is what the rules look at: its own heartbeat is how
        # a bound agent that rests comes back.
        caller |= {"caller_agent": None, "caller_edge": None}
    allowed = (
        scope.removeprefix(SPAWN_FOR)
        for scope in actor.scopes
        if scope.startswith(SPAWN_FOR)
    )
    kept = {name: value for name, value in report.metadata.items() if value is not None}
    return {
        **caller,
        "zone_id": zone_id,
        "id": agent_id,
        "bound": actor.agent_session_id,
        "applications": [actor.client_id, *allowed],
        "reaches_all": actor.is_operator or actor.has_scope(COORDINATOR_ADMIN),
        "generation": report.generation,
        "lease_seconds": settings.SERVICE_AGENT_LEASE_SECONDS,
        "service_id": report.service_id,
        "status": report.status,
        "active_invocations": report.active_invocations,
        "metadata": orjson.dumps(kept).decode(),
        "metadata_bytes": METADATA_BYTES,
        "dropped": [name for name in report.metadata if name not in kept],
    }
