"""The verbs of grants and connected accounts: their only writers, with ``ending``."""

from policies.grants.services.connecting import (
    Answer,
    Begun,
    Connected,
    Pending,
    begin_authorization,
    browser_proof,
    claim_authorization,
    finish_authorization,
    pending_authorization,
)
from policies.grants.services.granting import create_grant
from policies.grants.services.revoking import (
    Revocation,
    expire_due_grants,
    foresee_grant,
    preview_grant_revocation,
    revoke_grant,
)
from policies.grants.services.storing import (
    expire_spent_provider_grants,
    revoke_provider_grant,
    store_provider_grant,
)
from policies.grants.services.using import Credential, provider_credential
from policies.grants.tokens import reseal_provider_grants

__all__ = [
    "Answer",
    "Begun",
    "Connected",
    "Credential",
    "Pending",
    "Revocation",
    "begin_authorization",
    "browser_proof",
    "claim_authorization",
    "create_grant",
    "expire_due_grants",
    "expire_spent_provider_grants",
    "finish_authorization",
    "foresee_grant",
    "pending_authorization",
    "preview_grant_revocation",
    "provider_credential",
    "reseal_provider_grants",
    "revoke_grant",
    "revoke_provider_grant",
    "store_provider_grant",
]
