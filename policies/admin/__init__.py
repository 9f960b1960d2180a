"""Policies and policy sets in the console."""

from policies.admin.policies import PolicyAdmin
from policies.admin.scenarios import PolicyScenarioAdmin
from policies.admin.sets import PolicySetAdmin
from policies.admin.versions import PolicySetVersionAdmin

__all__ = [
    "PolicyAdmin",
    "PolicyScenarioAdmin",
    "PolicySetAdmin",
    "PolicySetVersionAdmin",
]
