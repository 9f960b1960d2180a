"""What the zone's shadow version would have said, beside the decision that counts.

A shadow is on trial: its opinion is recorded with the decision, counted, and changes
nothing, whatever it is and whatever goes wrong with it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from prometheus_client import Counter

from policies import active
from policies.decision import Decision, decide_input
from policies.engine import COMPLETE
from policies.rules import RECORDED_SHADOW

opinions = Counter(
    "caracal_policy_shadow_opinions",
    "Decisions that a shadow version was asked about as well.",
    ["outcome"],
)
log = logging.getLogger(__name__)


def opinion(
    shadow: Mapping[str, str] | None, document: Mapping[str, Any], decision: Decision
) -> dict[str, Any]:
    """What to record with ``decision`` about what the shadow says to the same
    ``document``; nothing without a shadow."""
    if shadow is None:
        return {}
    version_id = shadow["version_id"]
    try:
        found = decide_input(document, active.ready(**shadow))
    except Exception:
        # What is on trial stops nobody.
        log.warning("shadow not asked", exc_info=True, extra={"version": version_id})
        opinions.labels("failed").inc()
        return {}
    agrees = found.decision == decision.decision
    if found.evaluation_status != COMPLETE:
        opinions.labels("failed").inc()
    else:
        opinions.labels("same" if agrees else "different").inc()
    told = {
        "policy_set_version_id": version_id,
        "decision": found.decision,
        "evaluation_status": found.evaluation_status,
        "determining_policies": [dict(one) for one in found.determining_policies],
        "agrees": agrees,
    }
    return {RECORDED_SHADOW: told}
