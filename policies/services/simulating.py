"""What a version of a set would answer, before it is in force. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policies import active, errors, explaining, inputs, rules
from policies.manifests import members_of
from policies.models import PolicySetVersion
from policies.services import asking
from policies.services.documents import check_version
from policies.services.loose_ends import loose_ends
from policies.services.scenarios import run_scenarios

CHECKED = "The documents fit together; give an input to see a decision."


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """The outcome. ``answer`` is None when nothing was evaluated, and
    ``would_activate`` whether activating the version would be accepted."""

    version: PolicySetVersion
    policy_version_ids: tuple[str, ...]
    would_activate: bool
    warnings: tuple[str, ...]
    explanation: Mapping[str, Any]
    answer: Mapping[str, Any] | None


def simulate(
    policy_set_id: str,
    *,
    zone_id: str,
    version_id: str,
    document: Mapping[str, Any] | None = None,
) -> Simulation:
    """Decides ``document`` as the zone would with this version in force.

    Raises VersionNotFound or InvalidPolicyContract.
    """
    version = checked_version(policy_set_id, version_id, zone_id)
    warnings = rules.input_warnings(document, zone_id) if document is not None else []
    explanation, answer = _asked(version, document)
    explanation["notes"] = loose_ends(version)
    failed = [one.scenario.name for one in run_scenarios(version) if one.fault]
    complete = answer is None or answer["evaluation_status"] == "complete"
    executed = document is None or answer is not None
    return Simulation(
        version=version,
        policy_version_ids=tuple(members_of(version_id)),
        would_activate=executed and complete and not warnings and not failed,
        warnings=(*warnings, *(f"scenario_failed:{name}" for name in failed)),
        explanation=explanation,
        answer=answer,
    )


def checked_version(
    policy_set_id: str, version_id: str, zone_id: str
) -> PolicySetVersion:
    """The version of a live set, which could be activated as far as its documents go.

    Raises VersionNotFound or InvalidPolicyContract.
    """
    live = PolicySetVersion.objects.of_live_set(policy_set_id, zone_id)
    version: PolicySetVersion | None = live.filter(id=version_id).first()
    if version is None:
        raise errors.VersionNotFound
    check_version(version_id, zone_id=zone_id, schema_version=version.schema_version)
    return version


def _asked(
    version: PolicySetVersion, document: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    if document is None:
        return {"evaluation": "not_executed", "reason": CHECKED}, None
    asked = active.set_of(version.id)
    try:
        answer = asking.answer(document, asked)
    except inputs.InvalidInput as fault:
        return {"evaluation": "not_executed", "reason": str(fault)}, None
    explanation = {
        "evaluation": "executed",
        "decision": answer["decision"],
        "policy_set_version_id": version.id,
        "manifest_sha256": version.manifest_sha256,
        "reason": explaining.in_words(document, answer, asked),
    }
    return explanation, answer
