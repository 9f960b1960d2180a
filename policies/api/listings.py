"""The lists of policies, policy sets and what belongs to them."""

from __future__ import annotations

from caracal_site.api.pagination import Listing
from policies import filters
from policies.api import set_shapes as shapes

CREATED = {"created_at": "created_at"}
NAMED = {**CREATED, "updated_at": "updated_at", "name": "name"}

POLICIES = Listing(
    name="policies",
    columns=shapes.POLICY,
    orders=NAMED,
    filterset=filters.PolicyFilter,
)
POLICY_SETS = Listing(
    name="policy-sets",
    columns=shapes.POLICY_SET,
    orders=NAMED,
    filterset=filters.PolicySetFilter,
)
SET_VERSIONS = Listing(
    name="policy-set-versions",
    columns=shapes.SET_VERSION,
    orders=CREATED,
    filterset=filters.SetVersionFilter,
)
SCENARIOS = Listing(
    name="policy-scenarios",
    columns=shapes.SCENARIO,
    orders={**CREATED, "name": "name"},
    filterset=filters.ScenarioFilter,
)
