"""What happens to policies, policy sets and what is in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from audit.events import Event, News

INVALIDATE = "caracal.policy.invalidate"


@dataclass(frozen=True, kw_only=True)
class _Changed(Event):
    """``changed_fields`` names what was given; ``facts`` are ids and numbers of it."""

    changed_fields: tuple[str, ...] = ()
    facts: Mapping[str, Any] | None = None

    def summary(self) -> dict[str, Any]:
        return {"changed_fields": sorted(self.changed_fields), **(self.facts or {})}


@dataclass(frozen=True, kw_only=True)
class PolicyCreated(_Changed):
    name: ClassVar[str] = "policy.created"
    entity_type: ClassVar[str] = "policies"
    sentence: ClassVar[str] = "A policy was created."


@dataclass(frozen=True, kw_only=True)
class PolicyVersionAdded(_Changed):
    name: ClassVar[str] = "policy.version_added"
    entity_type: ClassVar[str] = "policies"
    sentence: ClassVar[str] = "A policy got a new version."


@dataclass(frozen=True, kw_only=True)
class PolicyArchived(_Changed):
    name: ClassVar[str] = "policy.archived"
    entity_type: ClassVar[str] = "policies"
    sentence: ClassVar[str] = "A policy was archived."


@dataclass(frozen=True, kw_only=True)
class PolicySetCreated(_Changed):
    name: ClassVar[str] = "policy_set.created"
    entity_type: ClassVar[str] = "policy-sets"
    sentence: ClassVar[str] = "A policy set was created."


@dataclass(frozen=True, kw_only=True)
class PolicySetVersionAdded(_Changed):
    name: ClassVar[str] = "policy_set.version_added"
    entity_type: ClassVar[str] = "policy-sets"
    sentence: ClassVar[str] = "A policy set got a new version."


@dataclass(frozen=True, kw_only=True)
class PolicySetArchived(_Changed):
    name: ClassVar[str] = "policy_set.archived"
    entity_type: ClassVar[str] = "policy-sets"
    sentence: ClassVar[str] = "A policy set was archived."


@dataclass(frozen=True, kw_only=True)
class ScenarioAdded(_Changed):
    name: ClassVar[str] = "policy_scenario.added"
    entity_type: ClassVar[str] = "policy-sets"
    sentence: ClassVar[str] = "A policy set got a scenario its versions must pass."


@dataclass(frozen=True, kw_only=True)
class ScenarioRemoved(_Changed):
    name: ClassVar[str] = "policy_scenario.removed"
    entity_type: ClassVar[str] = "policy-sets"
    sentence: ClassVar[str] = "A scenario was taken from a policy set."


@dataclass(frozen=True, kw_only=True)
class _InForce(_Changed):
    """Evaluators load what is in force when they hear of it (contract:
    policies-and-grants.md 13). Nulls are left out of the stream's entry."""

    policy_set_id: str
    policy_set_version_id: str | None
    shadow_version_id: str | None = None

    def news(self) -> list[News]:
        payload = {
            "zone_id": self.zone_id,
            "policy_set_id": self.policy_set_id,
            "policy_set_version_id": self.policy_set_version_id,
            "shadow_version_id": self.shadow_version_id,
        }
        return [News(INVALIDATE, payload, "api")]


@dataclass(frozen=True, kw_only=True)
class PolicySetActivated(_InForce):
    name: ClassVar[str] = "policy_set.activated"
    entity_type: ClassVar[str] = "policy-sets"
    sentence: ClassVar[str] = "A policy set was put in force."


@dataclass(frozen=True, kw_only=True)
class PolicySetDeactivated(_InForce):
    """The zone decides without a policy set from then on."""

    name: ClassVar[str] = "policy_set.deactivated"
    entity_type: ClassVar[str] = "policy-sets"
    sentence: ClassVar[str] = "A policy set was taken out of force."
