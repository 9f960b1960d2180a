"""What clients ask and say about tokens they hold: introspection and revocation.

Contract: RFC 7662, RFC 7009.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
from django.conf import settings
from django.db import transaction

from agents import services as agents
from audit.record import record
from caracal_site import rates
from caracal_site.actors import Actor, ActorKind
from caracal_site.errors import RateLimited
from tokens import verifying
from tokens.errors import ForeignToken, TokenInvalid, TooManyExchanges
from tokens.forms import TokenQuestion
from tokens.liveness import liveness
from tokens.services import clients
from tokens.services.sessions import revoke_session
from zones.models import Application

INACTIVE: dict[str, Any] = {"active": False}
REVOKED = "token_revoked"
# What a token's claims are called here; those of the RFC first.
TOLD = (
    "scope",
    "client_id",
    "sub",
    "aud",
    "iss",
    "exp",
    "iat",
    "jti",
    "zone_id",
    "sid",
    "root_sid",
    "use",
    "sub_type",
    "target",
    "agent_session_id",
    "delegation_edge_id",
    "delegation_chain",
    "hop_count",
)


def introspect(question: TokenQuestion) -> dict[str, Any]:
    """Whether a token of the client's zone is good and all it names in force, and then
    what it claims. Raises ClientNotAuthenticated, ZoneInvalid or TooManyExchanges."""
    application = _client(question, "introspect")
    verified = _verified(question, application)
    if verified is None or not liveness(verified).is_live:
        return INACTIVE
    claims = msgspec.to_builtins(verified.mandate)
    told = {name: claims[name] for name in TOLD if claims.get(name) not in (None, "")}
    return {"active": True, "token_type": "Bearer", **told}


def revoke(question: TokenQuestion) -> None:
    """Ends the session of one of the client's own tokens, with what was issued under it
    and the agents on it. A token that is no good any more, or never was, is left as it
    is. Raises ForeignToken for another client's, and what ``introspect`` raises."""
    application = _client(question, "revoke")
    verified = _verified(question, application)
    if verified is None:
        return
    if verified.mandate.client_id != application.id:
        raise ForeignToken
    _end_session(verified.mandate.sid, application)


@transaction.atomic
def _end_session(session_id: str, application: Application) -> None:
    actor = Actor(
        kind=ActorKind.APPLICATION,
        id=application.id,
        name=application.id,
        zone_id=application.zone_id,
        client_id=application.id,
    )
    where: Any = {"zone_id": application.zone_id, "reason": REVOKED}
    # Agents are locked before sessions everywhere; who began on one of these in between
    # ends as well.
    agents.end_agents_on(actor, session_ids=[session_id], **where)
    ended = revoke_session(session_id, client_id=application.id, **where)
    sessions = [event.entity_id for event in ended]
    agents.end_agents_on(actor, session_ids=sessions, **where)
    if ended:
        record(actor, ended, reason=REVOKED)


def _client(question: TokenQuestion, bucket: str) -> Application:
    application = clients.authenticate(question, needs_zone=False)
    subject = f"{application.zone_id}:{application.id}"
    try:
        rates.check(bucket, subject, settings.TOKEN_RATE_LIMIT_PER_MIN)
    except RateLimited as limited:
        raise TooManyExchanges(headers=limited.headers) from None
    return application


def _verified(
    question: TokenQuestion, application: Application
) -> verifying.Verified | None:
    """The token, when its signature and claims hold in the client's zone."""
    wanted = verifying.Expected(zone_id=application.zone_id, any_audience=True)
    try:
        verified = verifying.verify(question.token, wanted)
    except TokenInvalid:
        return None
    # Without the leeway that verifiers give each other's clocks.
    return verified if verified.mandate.exp > time.time() else None
