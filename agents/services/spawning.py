"""Spawn: a new agent session, narrowed as its parent is (coordinator.md 4.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

import orjson
from django.conf import settings
from django.db import connection, transaction

from agents import errors, rules
from agents.events import AgentSpawned
from agents.services import capacity
from audit import record
from audit.events import Event
from caracal_site import database, statements
from caracal_site.actors import Actor
from caracal_site.database import Changed
from caracal_site.errors import CaracalError
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
    delegation_edge_id: str | None
    spawned_at: datetime | None = None  # None until it has been written

    @property
    def heartbeat_deadline_at(self) -> datetime | None:
        if self.spawned_at is None or self.request.lifecycle != "service":
            return None
        return self.spawned_at + timedelta(seconds=settings.SERVICE_AGENT_LEASE_SECONDS)

    def event(self) -> AgentSpawned:
        return AgentSpawned(
            zone_id=self.zone_id,
            entity_id=self.agent_session_id,
            parent_id=self.request.parent_id,
            application_id=self.request.application_id,
            subject_session_id=self.subject_session_id,
            lifecycle=self.request.lifecycle,
            depth=self.depth,
        )

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


# What a root agent's spawn mostly finds: ``agents/spawn_at_once`` does nothing unless
# the database agrees.
USUAL_FACTS = {
    "application": {"registration_method": "managed", "has_live_agent": False},
    "subject_session_usable": True,
    "parent": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a new agent goes: its id, its slot of the room, and what narrows it."""

    agent_id: str = field(default_factory=new_id)
    slot: int = field(default_factory=capacity.any_slot)
    application_cap: int
    parent: dict[str, Any] | None = None
    edge_id: str | None = None
    epoch: int | None = None


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
            return _spawn_root(actor, zone_id, request, subject)
        with transaction.atomic():
            return _spawn(actor, zone_id, request, subject, exclusively=False)
    except NoRoom:
        # Before the parent is looked at, which may end with them.
        _sweep(zone_id)
        with transaction.atomic():
            return _spawn(actor, zone_id, request, subject, exclusively=True)


def _spawn_root(
    actor: Actor, zone_id: str, request: SpawnRequest, subject: str
) -> SpawnedAgent:
    # Nothing is locked for a root agent, so the statement that writes can be a
    # transaction of its own, and mostly the only round trip.
    if _refusal(actor, request, USUAL_FACTS) is None:
        place = Place(application_cap=settings.MAX_AGENTS_PER_APP)
        with suppress(NoRoom):
            return _insert(actor, zone_id, request, subject, place, [], at_once=True)
    return _spawn(actor, zone_id, request, subject, exclusively=False)


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
    refusal = _refusal(actor, request, facts)
    if refusal:
        raise refusal
    parent = facts["parent"]
    dynamic = facts["application"]["registration_method"] == "dcr"
    cap = 1 if dynamic else settings.MAX_AGENTS_PER_APP
    place = Place(application_cap=cap, parent=parent)
    if exclusively:
        _make_room(zone_id, request.application_id, place)
    events: list[Event] = []
    if parent and (parent["narrowed"] or request.inherit_parent_edge_id):
        edge_id, edge_event, epoch = _mirror(zone_id, place.agent_id, request, parent)
        place = replace(place, edge_id=edge_id, epoch=epoch)
        events.append(edge_event)
    spawned = _insert(actor, zone_id, request, subject, place, events)
    if parent:
        statements.execute("agents/count_child", {"id": parent["id"], "change": 1})
    return spawned


def _refusal(
    actor: Actor, request: SpawnRequest, facts: Mapping[str, Any]
) -> CaracalError | None:
    return rules.spawn_refusal(
        actor,
        lifecycle=request.lifecycle,
        application_id=request.application_id,
        parent_id=request.parent_id,
        facts=facts,
        limits=rules.Limits(settings.MAX_CHILDREN, settings.MAX_DEPTH),
    )


def _insert(
    actor: Actor,
    zone_id: str,
    request: SpawnRequest,
    subject: str,
    place: Place,
    events: Sequence[Event],
    *,
    at_once: bool = False,
) -> SpawnedAgent:
    """Takes the room, writes agent and evidence. ``at_once`` only when the facts are
    the usual ones. Raises NoRoom."""
    parent = place.parent
    spawned = SpawnedAgent(
        agent_session_id=place.agent_id,
        zone_id=zone_id,
        request=request,
        subject_session_id=subject,
        depth=parent["depth"] + 1 if parent else 0,
        ttl_seconds=rules.lifetime(request.lifecycle, request.ttl_seconds),
        delegation_edge_id=place.edge_id,
    )
    evidence = record.prepare(actor, [spawned.event(), *events], is_one_statement=True)
    named = _columns(spawned, place) | evidence.parameters()
    if at_once:
        spawned_at = _written(
            "agents/spawn_at_once", {**named, **caller_parameters(actor)}
        )
    else:
        spawned_at = _written("agents/spawn", named)
    record.written(evidence)
    return replace(spawned, spawned_at=spawned_at)


def _columns(spawned: SpawnedAgent, place: Place) -> dict[str, object]:
    """The parameters of ``agents/spawn`` besides the evidence."""
    request, parent = spawned.request, place.parent
    return {
        "id": spawned.agent_session_id,
        "zone_id": spawned.zone_id,
        "application_id": request.application_id,
        "parent_id": request.parent_id,
        "ancestor_ids": [*parent["ancestor_ids"], parent["id"]] if parent else [],
        "subject_session_id": spawned.subject_session_id,
        "lifecycle": request.lifecycle,
        "depth": spawned.depth,
        "labels": list(request.labels),
        "narrowed": place.edge_id is not None,
        "ttl_seconds": spawned.ttl_seconds,
        "metadata": orjson.dumps(request.metadata).decode(),
        "lease_seconds": settings.SERVICE_AGENT_LEASE_SECONDS,
        "slot": place.slot,
        "zone_cap": settings.MAX_AGENTS_PER_ZONE,
        "application_cap": place.application_cap,
        "epoch": place.epoch,
    }


def _written(statement: str, parameters: dict[str, object]) -> datetime:
    """Runs the statement that spawns; the time it did. Raises NoRoom."""
    with database.undone(NoRoom):
        spawned_at, _ = statements.fetch_one(statement, parameters)
    return cast(datetime, spawned_at)


def _facts(
    actor: Actor, zone_id: str, request: SpawnRequest, subject: str
) -> dict[str, Any]:
    zone_live, identity_live, agent_live, found = statements.fetch_one(
        "agents/spawn_facts",
        {
            **caller_parameters(actor),
            "zone_id": zone_id,
            "application_id": request.application_id,
            "subject_session_id": subject,
        },
    )
    refuse_dead_caller(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    facts = orjson.loads(found)
    facts["parent"] = None
    if request.parent_id is not None:
        named = {"zone_id": zone_id, "parent_id": request.parent_id}
        (parent,) = statements.fetch_one("agents/parent_facts", named)
        facts["parent"] = orjson.loads(parent) if parent else None
    return cast(dict[str, Any], facts)


def _make_room(zone_id: str, application_id: str, place: Place) -> None:
    cap = settings.MAX_AGENTS_PER_ZONE
    if not capacity.make_room(zone_id, cap=cap, slot=place.slot):
        raise errors.ZoneLimitExceeded
    cap = place.application_cap
    if not capacity.make_room(application_id, cap=cap, slot=place.slot):
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
