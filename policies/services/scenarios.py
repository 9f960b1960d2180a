"""Scenarios: questions with the answers the versions of a set have to give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Max

from audit.record import record
from caracal_site.actors import Actor
from caracal_site.database import refused
from caracal_site.errors import InvalidBody, Issue
from policies import active, errors, events, inputs, rules
from policies.models import PolicyScenario, PolicySetVersion
from policies.services import asking
from policies.services.sets import lock_policy_set
from zones.services import hold_zone

NAME_KEY = "policy_scenarios_name_key"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a version answers to a scenario; ``fault`` is empty when that is right."""

    scenario: PolicyScenario
    answer: Mapping[str, Any]
    fault: str

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.scenario.id,
            "name": self.scenario.name,
            "passed": not self.fault,
            "fault": self.fault or None,
            "result": dict(self.answer),
        }


@transaction.atomic
def add_scenario(
    name: str,
    *,
    policy_set_id: str,
    zone_id: str,
    actor: Actor,
    document: Mapping[str, Any],
    expected_decision: str,
    expected_policy: str | None = None,
    since_version: int | None = None,
) -> PolicyScenario:
    """A scenario for the set's versions from ``since_version`` on, by default from the
    newest there is.

    Raises ZoneNotFound, PolicySetNotFound, InvalidBody or ScenarioNameTaken.
    """
    hold_zone(zone_id, actor=actor)
    policy_set = lock_policy_set(policy_set_id, zone_id)
    try:
        inputs.normalised(document)
    except inputs.InvalidInput as fault:
        raise InvalidBody([Issue(("input",), str(fault))]) from None
    if policy_set.scenarios.count() >= rules.MAX_SCENARIOS:
        raise InvalidBody(
            [Issue((), f"a set has at most {rules.MAX_SCENARIOS} scenarios")]
        )
    if since_version is None:
        since_version = policy_set.versions.aggregate(last=Max("version"))["last"] or 1
    with refused(NAME_KEY, errors.ScenarioNameTaken):
        made = PolicyScenario.objects.create(
            policy_set=policy_set,
            name=name,
            input=dict(document),
            expected_decision=expected_decision,
            expected_policy=expected_policy,
            since_version=since_version,
            created_by=actor.name,
        )
    record(actor, _event(events.ScenarioAdded, made, zone_id))
    return made


@transaction.atomic
def remove_scenario(
    scenario_id: str, *, policy_set_id: str, zone_id: str, actor: Actor, reason: str
) -> None:
    """Raises ZoneNotFound, PolicySetNotFound or ScenarioNotFound."""
    hold_zone(zone_id, actor=actor)
    policy_set = lock_policy_set(policy_set_id, zone_id)
    scenario = policy_set.scenarios.filter(id=scenario_id).first()
    if scenario is None:
        raise errors.ScenarioNotFound
    event = _event(events.ScenarioRemoved, scenario, zone_id)
    scenario.delete()
    record(actor, event, reason=reason)


def scenarios_of(version: PolicySetVersion) -> list[PolicyScenario]:
    """What is asked of this version, oldest first."""
    asked = PolicyScenario.objects.filter(
        policy_set_id=version.policy_set_id, since_version__lte=version.version
    )
    return list(asked.order_by("created_at", "id"))


def run_scenarios(
    version: PolicySetVersion, asked: Sequence[PolicyScenario] | None = None
) -> list[Outcome]:
    """The version's answers to its scenarios, by the run-time decision function."""
    asked_set = active.set_of(version.id)
    outcomes = []
    for scenario in scenarios_of(version) if asked is None else asked:
        answer = asking.answer(scenario.input, asked_set)
        fault = rules.scenario_fault(
            scenario.expected_decision, scenario.expected_policy, answer
        )
        outcomes.append(Outcome(scenario, answer, fault or ""))
    return outcomes


def failing(
    version: PolicySetVersion, asked: Sequence[PolicyScenario]
) -> list[dict[str, Any]]:
    """The scenarios the version fails, as refusals tell them."""
    if not asked:
        return []
    return [one.as_json() for one in run_scenarios(version, asked) if one.fault]


def _event(
    kind: type[events.ScenarioAdded | events.ScenarioRemoved],
    scenario: PolicyScenario,
    zone_id: str,
) -> events.ScenarioAdded | events.ScenarioRemoved:
    return kind(
        zone_id=zone_id,
        entity_id=scenario.policy_set_id,
        facts={"scenario_id": scenario.id, "scenario": scenario.name},
    )
