"""The verbs of signing keys, authority sessions and step-up challenges.

``tokens.services.issue``, which needs the zones app's services, is not imported here:
those services need the ones below.
"""

from tokens.services.approving import (
    Answered,
    expire_challenges,
    may_have_asked,
    reject_challenge,
    satisfy_challenge,
)
from tokens.services.keys import (
    create_first_key,
    jwks,
    promote_published_keys,
    reseal_signing_keys,
    rotate_old_keys,
    rotate_signing_key,
    withdraw_retired_keys,
    withdraw_signing_key,
)
from tokens.services.retiring import retire_sessions
from tokens.services.sessions import (
    expire_sessions,
    preview_revocation,
    revoke_session,
    revoke_sessions,
)
from tokens.services.waiting import ANSWERED, Standing, challenge_standing

__all__ = [
    "ANSWERED",
    "Answered",
    "Standing",
    "challenge_standing",
    "create_first_key",
    "expire_challenges",
    "expire_sessions",
    "jwks",
    "may_have_asked",
    "preview_revocation",
    "promote_published_keys",
    "reject_challenge",
    "reseal_signing_keys",
    "retire_sessions",
    "revoke_session",
    "revoke_sessions",
    "rotate_old_keys",
    "rotate_signing_key",
    "satisfy_challenge",
    "withdraw_retired_keys",
    "withdraw_signing_key",
]
