"""The verbs of delegation: the only writers of edges, with ``ending`` for their end."""

from delegations.services.creating import (
    CreatedDelegation,
    create_delegation,
)
from delegations.services.expiring import expire_due_edges
from delegations.services.judging import DelegationRequest
from delegations.services.pruning import prune_edges
from delegations.services.revoking import (
    Revocation,
    preview_over_resource,
    revoke_delegation,
    revoke_over_resource,
)

__all__ = [
    "CreatedDelegation",
    "DelegationRequest",
    "Revocation",
    "create_delegation",
    "expire_due_edges",
    "preview_over_resource",
    "prune_edges",
    "revoke_delegation",
    "revoke_over_resource",
]
