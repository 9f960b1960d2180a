"""Whether what was activated has arrived where decisions are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from audit.models import OutboxEvent
from policies import errors
from policies.events import INVALIDATE
from policies.models import (
    PolicyActivation,
    PolicyEvaluator,
    PolicyLoad,
    PolicySet,
    PolicySetVersion,
)

NO_EVALUATOR = "no process that decides has reported lately"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What a living evaluator holds for the zone."""

    evaluator_id: str
    state: str
    version_id: str | None
    manifest_sha256: str | None
    revision: int
    loaded_at: datetime
    seen_at: datetime
    error: str

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.evaluator_id,
            "state": self.state,
            "policy_set_version_id": self.version_id,
            "revision": self.revision,
            "loaded_at": self.loaded_at,
            "seen_at": self.seen_at,
            "error": self.error or None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationStatus:
    """The answer to "has it arrived?"; ``sts`` and ``outbox`` are the contract's."""

    zone_id: str
    policy_set_id: str
    version_id: str
    active_version_id: str | None
    shadow_version_id: str | None
    manifest_sha256: str | None
    propagation_status: str
    outbox: dict[str, Any]
    sts: dict[str, Any]
    arrivals: tuple[Arrival, ...]

    @property
    def is_active(self) -> bool:
        return self.active_version_id == self.version_id


def activation_status(
    policy_set_id: str,
    *,
    zone_id: str,
    version_id: str | None = None,
    outbox_id: str | None = None,
) -> ActivationStatus:
    """How far a version of a live set has come, by default the one in force.

    Raises PolicySetBindingNotFound, ActivePolicySetVersionNotFound or
    PolicySetVersionNotFound.
    """
    if not PolicySet.objects.in_zone(zone_id).live().filter(id=policy_set_id).exists():
        raise errors.PolicySetBindingNotFound
    activation = (
        PolicyActivation.objects.filter(zone_id=zone_id, policy_set_id=policy_set_id)
        .select_related("active_version")
        .first()
    )
    asked = version_id or (activation.active_version_id if activation else None)
    if asked is None:
        raise errors.ActivePolicySetVersionNotFound
    versions = PolicySetVersion.objects.of_set(policy_set_id, zone_id)
    if not versions.filter(id=asked).exists():
        raise errors.PolicySetVersionNotFound
    arrivals = arrivals_of(zone_id, activation)
    sts = _sts(zone_id, arrivals)
    outbox = _outbox(zone_id, asked, activation, outbox_id)
    is_active = activation is not None and activation.active_version_id == asked
    return ActivationStatus(
        zone_id=zone_id,
        policy_set_id=policy_set_id,
        version_id=asked,
        active_version_id=activation.active_version_id if activation else None,
        shadow_version_id=activation.shadow_version_id if activation else None,
        manifest_sha256=_manifest(activation),
        propagation_status=_propagation(is_active, sts["state"], outbox["state"]),
        outbox=outbox,
        sts=sts,
        arrivals=tuple(arrivals),
    )


def arrivals_of(zone_id: str, activation: PolicyActivation | None) -> list[Arrival]:
    """What each living evaluator that serves the zone has loaded for it."""
    loads = PolicyLoad.objects.filter(
        zone_id=zone_id, evaluator__in=PolicyEvaluator.objects.alive()
    ).select_related("evaluator")
    revision = activation.revision if activation else None
    return [
        Arrival(
            evaluator_id=load.evaluator_id,
            state=_state(load, revision),
            version_id=load.policy_set_version_id,
            manifest_sha256=load.manifest_sha256,
            revision=load.revision,
            loaded_at=load.loaded_at,
            seen_at=load.evaluator.seen_at,
            error=load.error,
        )
        for load in loads.order_by("evaluator_id")
    ]


def _state(load: PolicyLoad, revision: int | None) -> str:
    if load.error:
        return "failed"
    return "loaded" if load.revision == revision else "not_loaded"


def _sts(zone_id: str, arrivals: Sequence[Arrival]) -> dict[str, Any]:
    """All evaluators as the one token service of the contract: the worst of them.

    One that has never served the zone holds nothing it could decide wrongly by.
    """
    if not arrivals:
        return {"state": "unreachable", "detail": NO_EVALUATOR, "evaluators": []}
    order = ("failed", "not_loaded", "loaded")
    worst = min(arrivals, key=lambda one: (order.index(one.state), one.loaded_at))
    age = (timezone.now() - worst.loaded_at).total_seconds()
    told = {
        "state": worst.state,
        "loaded": worst.state == "loaded",
        "zone_id": zone_id,
        "policy_set_version_id": worst.version_id,
        "manifest_sha256": worst.manifest_sha256,
        "loaded_at": worst.loaded_at,
        "age_seconds": max(0, int(age)),
        "detail": worst.error or None,
    }
    known = {name: value for name, value in told.items() if value is not None}
    return {**known, "evaluators": [one.as_json() for one in arrivals]}


def _outbox(
    zone_id: str,
    version_id: str,
    activation: PolicyActivation | None,
    outbox_id: str | None,
) -> dict[str, Any]:
    """The news of the activation; never that of another zone."""
    known = activation and activation.active_version_id == version_id
    wanted = outbox_id or (activation.outbox_id if activation and known else None)
    row = OutboxEvent.objects.filter(id=wanted, zone_id=zone_id).first()
    if row is None:
        return _news(wanted, "missing")
    payload = row.payload_json
    if row.topic != INVALIDATE or payload.get("policy_set_version_id") != version_id:
        return _news(wanted, "mismatch")
    state = "dead" if row.parked_at else "pending"
    if row.published_at:
        state = "dispatched"
    return {
        "id": row.id,
        "state": state,
        # Failed ones are counted; the one that succeeded is one more.
        "attempts": row.attempts + bool(row.published_at),
        "last_error": row.last_error,
        "dispatched_at": row.published_at,
    }


def _news(outbox_id: str | None, state: str) -> dict[str, Any]:
    return {
        "id": outbox_id,
        "state": state,
        "attempts": 0,
        "last_error": None,
        "dispatched_at": None,
    }


def _propagation(is_active: bool, evaluators: str, outbox: str) -> str:
    """What counts is where decisions are made; the news only explains a delay."""
    if not is_active:
        return "waiting_for_activation"
    if evaluators in ("loaded", "failed"):
        return evaluators
    if outbox in ("dead", "mismatch"):
        return "failed"
    return "waiting_for_outbox" if outbox == "pending" else "waiting_for_sts"


def _manifest(activation: PolicyActivation | None) -> str | None:
    version = activation.active_version if activation else None
    return version.manifest_sha256 if version else None
