"""The verbs of delegation: the only writers of edges, with ``ending`` for their end."""

from delegations.services.creating import (
    CreatedDelegation,
    create_delegation,
)
from delegations.services.expiring import expire_due_edges
from delegations.services.judging import DelegationRequest
from delegations.services.revoking import (
    Revocation,
    revoke_delegation,
)

__all__ = [
    "CreatedDelegation",
    "DelegationRequest",
    "Revocation",
    "create_delegation",
    "expire_due_edges",
    "revoke_delegation",
]
