"""The verbs of signing keys and authority sessions.

``tokens.services.issue``, which needs the zones app's services, is not imported here:
those services need the ones below.
"""

from tokens.services.keys import (
    create_first_key,
    jwks,
    promote_published_keys,
    reseal_signing_keys,
    rotate_signing_key,
    withdraw_signing_key,
)
from tokens.services.sessions import (
    expire_sessions,
    preview_revocation,
    revoke_sessions,
)

__all__ = [
    "create_first_key",
    "expire_sessions",
    "jwks",
    "preview_revocation",
    "promote_published_keys",
    "reseal_signing_keys",
    "revoke_sessions",
    "rotate_signing_key",
    "withdraw_signing_key",
]
