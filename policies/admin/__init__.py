"""Policies, policy sets, grants and connected accounts in the console."""

from policies.admin.accounts import ProviderGrantAdmin
from policies.admin.grants import GrantAdmin
from policies.admin.policies import PolicyAdmin
from policies.admin.scenarios import PolicyScenarioAdmin
from policies.admin.sets import PolicySetAdmin
from policies.admin.versions import PolicySetVersionAdmin

__all__ = [
    "GrantAdmin",
    "PolicyAdmin",
    "PolicyScenarioAdmin",
    "PolicySetAdmin",
    "PolicySetVersionAdmin",
    "ProviderGrantAdmin",
]
