"""Spawn: a new agent session, narrowed as its parent is (coordinator.md 4.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import orjson
from django.conf import settings
from django.db import DataError, connection, transaction

from agents import errors, rules
from agents.events import AgentSpawned
from agents.services import capacity
from audit import record
from audit.events import Event
from caracal_site import statements
from caracal_site.actors import Actor
from caracal_site.database import DIVISION_BY_ZERO, Changed, sqlstate
from caracal_site.ids import new_id
from delegations.errors import ExceedsParentAuthority, ParentAmbiguous
from delegations.events import DelegationCreated
from delegations.models import DelegationEdge
from delegations.rules import mirrored_hops
from tokens.bearer import caller_parameters, refuse_dead_caller


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnRequest:
    """What a caller asks for. ``subject_session_id`` defaults to the caller's own."""

    application_id: str
    subject_session_id: str | None = None
    parent_id: str | None = None
    lifecycle: str = "task"
    labels: tuple[str, ...] = ()
    ttl_seconds: int | None = None
    inherit_parent_edge_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnedAgent:
    """The new agent, and the edge that narrows it when its parent was narrowed."""

    agent_session_id: str
    zone_id: str
    request: SpawnRequest
    subject_session_id: str
    depth: int
    ttl_seconds: int | None
    spawned_at: datetime
    heartbeat_deadline_at: datetime | None
    delegation_edge_id: str | None

    def as_json(self) -> dict[str, Any]:
        request = self.request
        service = request.lifecycle == "service"
        return {
            "agent_session_id": self.agent_session_id,
            "zone_id": self.zone_id,
            "application_id": request.application_id,
            "parent_id": request.parent_id,
            "subject_session_id": self.subject_session_id,
            "lifecycle": request.lifecycle,
            "labels": list(request.labels),
            "status": "active",
            "depth": self.depth,
            "ttl_seconds": self.ttl_seconds,
            "metadata": request.metadata,
            "spawned_at": self.spawned_at,
            "last_heartbeat_at": self.spawned_at if service else None,
            "heartbeat_deadline_at": self.heartbeat_deadline_at,
            "delegation_edge_id": self.delegation_edge_id,
        }


class NoRoom(Exception):
    """A capacity slot is full, stale or closed: to be tried again with all locked."""


def spawn_agent(actor: Actor, *, zone_id: str, request: SpawnRequest) -> SpawnedAgent:
    """Spawns one agent. Raises the refusals of ``agents.errors`` and, for a parent
    without live authority, those of ``delegations.errors``."""
    if not actor.acts_for(request.application_id):
        raise errors.ApplicationOwnershipRequired
    subject = request.subject_session_id or actor.session_id
    if subject is None:
        raise errors.SubjectSessionRequired
    try:
        if request.parent_id is None and not connection.in_atomic_block:
            # Nothing is locked for a root agent, and the one statement that writes is a
            # transaction of its own: BEGIN and COMMIT would double the round trips.
            return _spawn(actor, zone_id, request, subject, exclusively=False)
        with transaction.atomic():
            return _spawn(actor, zone_id, request, subject, exclusively=False)
    except NoRoom:
        # Before the parent is looked at, which may end with them.
        _sweep(zone_id)
        with transaction.atomic():
            return _spawn(actor, zone_id, request, subject, exclusively=True)


@transaction.atomic
def _sweep(zone_id: str) -> None:
    # Agents past their time still hold their places until they are swept.
    from agents.services.ending import end_due_agents

    end_due_agents(zone_id)


def _spawn(
    actor: Actor,
    zone_id: str,
    request: SpawnRequest,
    subject: str,
    *,
    exclusively: bool,
) -> SpawnedAgent:
    facts = _facts(actor, zone_id, request, subject)
    refusal = rules.spawn_refusal(
        actor,
        lifecycle=request.lifecycle,
        application_id=request.application_id,
        parent_id=request.parent_id,
        facts=facts,
        limits=rules.Limits(settings.MAX_CHILDREN, settings.MAX_DEPTH),
    )
    if refusal:
        raise refusal
    agent_id, parent = new_id(), facts["parent"]
    slot = capacity.any_slot()
    dynamic = facts["application"]["registration_method"] == "dcr"
    application_cap = 1 if dynamic else settings.MAX_AGENTS_PER_APP
    if exclusively:
        _make_room(zone_id, request.application_id, slot, application_cap)
    events: list[Event] = []
    epoch = None
    edge_id = None
    if parent and (parent["narrowed"] or request.inherit_parent_edge_id):
        edge_id, edge_event, epoch = _mirror(zone_id, agent_id, request, parent)
        events.append(edge_event)
    depth = parent["depth"] + 1 if parent else 0
    events.insert(
        0,
        AgentSpawned(
            zone_id=zone_id,
            entity_id=agent_id,
            parent_id=request.parent_id,
            application_id=request.application_id,
            subject_session_id=subject,
            lifecycle=request.lifecycle,
            depth=depth,
        ),
    )
    ttl = request.ttl_seconds
    if ttl is None and request.lifecycle == "task":
        ttl = rules.DEFAULT_TASK_TTL_SECONDS
    evidence = record.prepare(actor, events, is_one_statement=True)
    now = _written(
        {
            "id": agent_id,
            "zone_id": zone_id,
            "application_id": request.application_id,
            "parent_id": request.parent_id,
            "ancestor_ids": [*parent["ancestor_ids"], parent["id"]] if parent else [],
            "subject_session_id": subject,
            "lifecycle": request.lifecycle,
            "depth": depth,
            "labels": list(request.labels),
            "narrowed": edge_id is not None,
            "ttl_seconds": ttl,
            "metadata": orjson.dumps(request.metadata).decode(),
            "lease_seconds": settings.SERVICE_AGENT_LEASE_SECONDS,
            "slot": slot,
            "zone_cap": settings.MAX_AGENTS_PER_ZONE,
            "application_cap": application_cap,
            "epoch": epoch,
            **evidence.parameters(),
        }
    )
    record.written(evidence)
    if parent:
        statements.execute("agents/count_child", {"id": parent["id"], "change": 1})
    lease = timedelta(seconds=settings.SERVICE_AGENT_LEASE_SECONDS)
    return SpawnedAgent(
        agent_session_id=agent_id,
        zone_id=zone_id,
        request=request,
        subject_session_id=subject,
        depth=depth,
        ttl_seconds=ttl,
        spawned_at=now,
        heartbeat_deadline_at=now + lease if request.lifecycle == "service" else None,
        delegation_edge_id=edge_id,
    )


def _written(parameters: dict[str, object]) -> datetime:
    """Runs the statement that spawns; the time it did. Raises NoRoom."""
    try:
        spawned_at, _ = statements.fetch_one("agents/spawn", parameters)
    except DataError as error:
        if sqlstate(error) == DIVISION_BY_ZERO:
            raise NoRoom from None
        raise
    return cast(datetime, spawned_at)


def _facts(
    actor: Actor, zone_id: str, request: SpawnRequest, subject: str
) -> dict[str, Any]:
    asked: list[tuple[str, dict[str, object]]] = [
        (
            "agents/spawn_facts",
            {
                **caller_parameters(actor),
                "zone_id": zone_id,
                "application_id": request.application_id,
                "subject_session_id": subject,
            },
        )
    ]
    if request.parent_id is not None:
        named: dict[str, object] = {
            "zone_id": zone_id,
            "parent_id": request.parent_id,
        }
        asked.append(("agents/parent_facts", named))
    (zone_live, identity_live, agent_live, found), *parent = statements.fetch_ones(
        *asked
    )
    refuse_dead_caller(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    facts = orjson.loads(found)
    facts["parent"] = orjson.loads(parent[0][0]) if parent and parent[0][0] else None
    return cast(dict[str, Any], facts)


def _make_room(
    zone_id: str, application_id: str, slot: int, application_cap: int
) -> None:
    if not capacity.make_room(zone_id, cap=settings.MAX_AGENTS_PER_ZONE, slot=slot):
        raise errors.ZoneLimitExceeded
    if not capacity.make_room(application_id, cap=application_cap, slot=slot):
        raise errors.ApplicationLimitExceeded


def _mirror(
    zone_id: str, agent_id: str, request: SpawnRequest, parent: dict[str, Any]
) -> tuple[str, DelegationCreated, int]:
    """A narrowed parent narrows its child by a mirror of its one live inbound edge,
    or of the one named (D10)."""
    edge = parent_edge_of(parent, request)
    if mirrored_hops(edge["max_hops"]) < 1:
        raise ExceedsParentAuthority("No hop is left on the parent's delegation.")
    edge_id = new_id()
    (mirrored,) = statements.fetch_one(
        "delegations/mirror",
        {
            "edge_id": edge_id,
            "zone_id": zone_id,
            "parent_id": request.parent_id,
            "id": agent_id,
            "application_id": request.application_id,
            "parent_edge_id": edge["id"],
        },
    )
    if not mirrored:
        raise Changed
    (epoch,) = statements.fetch_one("delegations/bump_epoch", {"zone_id": zone_id})
    event = DelegationCreated(
        zone_id=zone_id,
        entity_id=edge_id,
        source_session_id=str(request.parent_id),
        target_session_id=agent_id,
        parent_edge_id=edge["id"],
        scopes=tuple(edge["scopes"]),
    )
    return edge_id, event, int(str(epoch))


def parent_edge_of(parent: dict[str, Any], request: SpawnRequest) -> dict[str, Any]:
    """The edge to mirror. Raises when none is live, the named one is not, or several
    are and none is named; Changed when the first came while the parent was waited for.
    """
    inbound = parent["inbound"]
    named = request.inherit_parent_edge_id
    if named is not None:
        for edge in inbound:
            received = edge["receiver_application_id"] == request.application_id
            if edge["id"] == named and received:
                return dict(edge)
        raise errors.InheritedEdgeNotActive
    if not inbound:
        if DelegationEdge.objects.active().inbound_to(parent["id"]).exists():
            raise Changed
        raise ExceedsParentAuthority
    if len(inbound) > 1:
        raise ParentAmbiguous
    return dict(inbound[0])
