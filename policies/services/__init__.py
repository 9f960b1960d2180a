"""The verbs of policies and policy sets: the only writers."""

from policies.manifests import documents_of, members_of
from policies.services.activating import (
    Activation,
    Whichever,
    activate_policy_set,
    deactivate_policy_set,
)
from policies.services.comparing import (
    Comparison,
    Flip,
    Question,
    compare,
    recorded,
)
from policies.services.evaluators import Load, forget_silent, report, stragglers
from policies.services.loose_ends import Granted, Named, coverage, loose_ends
from policies.services.policies import (
    CreatedPolicy,
    add_policy_version,
    archive_policy,
    create_policy,
    preview_policy_archive,
    uses_of,
)
from policies.services.scenarios import (
    Outcome,
    add_scenario,
    remove_scenario,
    run_scenarios,
    scenarios_of,
)
from policies.services.sets import (
    add_policy_set_version,
    archive_policy_set,
    create_policy_set,
    preview_policy_set_archive,
)
from policies.services.simulating import Simulation, checked_version, simulate
from policies.services.status import ActivationStatus, activation_status, arrivals_of
from policies.services.trials import Trial, trial_of

__all__ = [
    "Activation",
    "ActivationStatus",
    "Comparison",
    "CreatedPolicy",
    "Flip",
    "Granted",
    "Load",
    "Named",
    "Outcome",
    "Question",
    "Simulation",
    "Trial",
    "Whichever",
    "activate_policy_set",
    "activation_status",
    "add_policy_set_version",
    "add_policy_version",
    "add_scenario",
    "archive_policy",
    "archive_policy_set",
    "arrivals_of",
    "checked_version",
    "compare",
    "coverage",
    "create_policy",
    "create_policy_set",
    "deactivate_policy_set",
    "documents_of",
    "forget_silent",
    "loose_ends",
    "members_of",
    "preview_policy_archive",
    "preview_policy_set_archive",
    "recorded",
    "remove_scenario",
    "report",
    "run_scenarios",
    "scenarios_of",
    "simulate",
    "stragglers",
    "trial_of",
    "uses_of",
]
