"""The rules of agents: pure functions on plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents import errors
from caracal_site.actors import Actor
from caracal_site.errors import CaracalError, InvalidBody, Issue

SPAWN_UNDER = "coordinator.spawn_under:"
DEFAULT_TASK_TTL_SECONDS = 3600
LEASE_LOST = "service_heartbeat_lost"


@dataclass(frozen=True, slots=True)
class Limits:
    """How far an agent tree may grow."""

    max_children: int
    max_depth: int


def spawn_refusal(
    actor: Actor,
    *,
    lifecycle: str,
    application_id: str,
    parent_id: str | None,
    facts: Mapping[str, Any],
    limits: Limits,
) -> CaracalError | None:
    """Why this agent may not be spawned, in the contract's order (4.1); else None."""
    application = facts["application"]
    if application is None:
        return errors.ApplicationNotFound()
    dynamic = application["registration_method"] == "dcr"
    if dynamic and lifecycle != "task":
        return errors.DcrCannotHostService()
    if dynamic and parent_id is not None:
        return errors.DcrCannotBeChild()
    if not facts["subject_session_usable"]:
        return errors.SessionNotFound()
    if dynamic and application["has_live_agent"]:
        return errors.DcrAlreadyBound()
    if actor.agent_session_id and not within_subtree(
        actor.agent_session_id,
        facts["parent"] and facts["parent"]["id"],
        facts["parent"]["ancestor_ids"] if facts["parent"] else (),
    ):
        return errors.OutsideAgentSubtree()
    if parent_id is None:
        return None
    return _parent_refusal(
        actor,
        lifecycle=lifecycle,
        application_id=application_id,
        parent=facts["parent"],
        limits=limits,
    )


def _parent_refusal(
    actor: Actor,
    *,
    lifecycle: str,
    application_id: str,
    parent: Mapping[str, Any] | None,
    limits: Limits,
) -> CaracalError | None:
    if parent is None or not parent["usable"]:
        return errors.ParentNotFound()
    if parent["registration_method"] == "dcr":
        return errors.DcrCannotSpawn()
    if parent["lifecycle"] == "task" and lifecycle == "service":
        return errors.TaskCannotSpawnService()
    foreign = parent["application_id"] != application_id
    if foreign and not actor.has_scope(SPAWN_UNDER + parent["application_id"]):
        return errors.ParentOwnershipRequired()
    if parent["child_count"] >= limits.max_children:
        return errors.ChildrenLimitExceeded()
    if parent["depth"] + 1 > limits.max_depth:
        return errors.DepthLimitExceeded()
    return None


def lifetime(lifecycle: str, ttl_seconds: int | None) -> int | None:
    """How many seconds an agent lives; None without end. A task always has an end."""
    if ttl_seconds is None and lifecycle == "task":
        return DEFAULT_TASK_TTL_SECONDS
    return ttl_seconds


def within_subtree(
    root_id: str, agent_id: str | None, ancestor_ids: Sequence[str]
) -> bool:
    """Whether the agent is ``root_id`` or lives below it."""
    return agent_id == root_id or root_id in ancestor_ids


def shared_out(cap: int, lives: Sequence[int], wanted: int) -> list[int] | None:
    """Quotas for slots with these live counts, adding up to ``cap``, slot ``wanted``
    with room for at least one more; None when the cap is reached."""
    free = cap - sum(lives)
    if free <= 0:
        return None
    share, rest = divmod(free, len(lives))
    order = [(wanted + step) % len(lives) for step in range(len(lives))]
    quotas = list(lives)
    for place, slot in enumerate(order):
        quotas[slot] += share + (1 if place < rest else 0)
    return quotas


def heartbeat_refusal(
    facts: Mapping[str, Any], *, generation: int | None, names_service: bool
) -> CaracalError | None:
    """Why this agent's heartbeat does not count (5.3); else None. ``generation`` is the
    lease it believes to hold: another means that somebody else took it over."""
    if facts["status"] not in ("active", "suspended") or facts["is_over"]:
        return errors.AgentNotLive()
    if facts["is_service"] and generation not in (None, facts["generation"]):
        return errors.LeaseSuperseded()
    if facts["status"] == "active" and facts["is_lapsed"]:
        return errors.LeaseExpired()
    if names_service and not facts["has_service"]:
        return errors.ServiceNotFound()
    if not facts["fits"]:
        return InvalidBody([Issue(("metadata",), "the record would grow too large")])
    return None


def wakes(facts: Mapping[str, Any]) -> bool:
    """Whether a heartbeat makes the agent go on: it rests because a lease ran out, and
    nothing above it rests (D13)."""
    return (
        facts["status"] == "suspended"
        and facts["suspend_reason"] == LEASE_LOST
        and bool(facts["is_service"])
        and bool(facts["has_parent_active"])
    )
