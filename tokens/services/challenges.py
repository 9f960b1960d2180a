"""Step-up during an exchange: asking a person, and using what they answered.

Contract: tokens.md 10. All of it happens in the transaction that issues or refuses, so
that an approval is used up exactly when its token goes out.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import orjson
from django.conf import settings
from django.db.models.functions import Now

from audit.record import record
from caracal_site import locks
from caracal_site.actors import Actor, ActorKind
from tokens.errors import ChallengeInvalid, InteractionRequired, TooManyChallenges
from tokens.events import StepUpConsumed, StepUpRequested
from tokens.forms import TokenRequest
from tokens.models import ChallengeState, ChallengeType, StepUpChallenge
from tokens.services.outcomes import Refusal
from zones.models import Application

APPROVAL_SECONDS = 1_800
# What a presented challenge that is neither pending nor approved comes to.
SPENT = {
    ChallengeState.CONSUMED: "approval_already_consumed",
    ChallengeState.REJECTED: "approval_rejected",
}

# A refusal yet to be made: ``ask`` makes it, in the transaction that records it.
WANTED = Refusal("interaction_required")


def presented(
    request: TokenRequest, application: Application
) -> StepUpChallenge | Refusal | None:
    """The approval that the request presents, locked until the transaction ends.

    None when it presents none, or one whose time is over: then it is asked anew.
    """
    if request.challenge_id is None:
        return _invalid("approval_invalid") if request.challenge_response else None
    challenges = StepUpChallenge.objects.in_zone(application.zone_id).with_standing()
    found: Any = (
        challenges.filter(id=request.challenge_id, application_id=application.id)
        .select_for_update(of=("self",))
        .first()
    )
    if found is None or not _is_for(found, request):
        return _invalid("approval_invalid")
    if found.standing in SPENT:
        return _invalid(SPENT[found.standing])
    if found.standing == ChallengeState.EXPIRED:
        return None
    if found.standing == ChallengeState.PENDING:
        return _waits(found)
    approval: StepUpChallenge = found
    return approval


def ask(request: TokenRequest, application: Application) -> Refusal:
    """Has the request wait for a person: by the challenge that an identical request
    left, as long as that is open, or by a new one."""
    locks.lock(locks.LockClass.STEP_UP, application.id)
    waiting = StepUpChallenge.objects.in_zone(application.zone_id).filter(
        application_id=application.id
    )
    same = waiting.open().filter(
        binding_hash=binding_of(request), ttl_seconds=request.ttl_seconds
    )
    found = same.order_by("id").last()
    if found is not None:
        return _waits(found)
    if waiting.open().count() >= settings.MAX_OPEN_CHALLENGES_PER_APP:
        return Refusal("too_many_challenges", TooManyChallenges())
    made = StepUpChallenge.objects.create(
        zone_id=application.zone_id,
        application_id=application.id,
        session_id=request.session_id,
        agent_session_id=request.agent_session_id,
        delegation_edge_id=request.delegation_edge_id,
        challenge_type=ChallengeType.HUMAN_APPROVAL,
        metadata_json={
            "requested_scopes": list(request.scopes),
            "resources": list(request.resources),
        },
        ttl_seconds=request.ttl_seconds,
        binding_hash=binding_of(request),
        expires_at=Now() + timedelta(seconds=APPROVAL_SECONDS),
    )
    made.refresh_from_db(fields=["expires_at"])
    requested = StepUpRequested(
        zone_id=made.zone_id,
        entity_id=made.id,
        application_id=application.id,
        resources=request.resources,
        scopes=request.scopes,
    )
    record(_requester(application, request), requested)
    return _waits(made)


def consume(
    approval: StepUpChallenge,
    request: TokenRequest,
    application: Application,
    *,
    session_id: str,
) -> None:
    """Uses up an approval, locked by ``presented``, for the session of its token."""
    StepUpChallenge.objects.filter(id=approval.id).update(
        state=ChallengeState.CONSUMED,
        consumed_at=Now(),
        consumed_session_id=session_id,
    )
    consumed = StepUpConsumed(
        zone_id=approval.zone_id,
        entity_id=approval.id,
        application_id=application.id,
        session_id=session_id,
    )
    record(_requester(application, request), consumed)


def binding_of(request: TokenRequest) -> bytes:
    """What an approval is bound to, but for how long the token lives."""
    bound = {
        "resources": sorted(request.resources),
        "scopes": sorted(request.scopes),
        "session_id": request.session_id,
        "agent_session_id": request.agent_session_id,
        "delegation_edge_id": request.delegation_edge_id,
    }
    return hashlib.sha256(orjson.dumps(bound)).digest()


def _is_for(challenge: StepUpChallenge, request: TokenRequest) -> bool:
    """Whether it was asked for this request, or for the same with a longer life."""
    is_same = bytes(challenge.binding_hash) == binding_of(request)
    return is_same and request.ttl_seconds <= challenge.ttl_seconds


def _waits(challenge: StepUpChallenge) -> Refusal:
    told = {
        "challenge_id": challenge.id,
        "challenge_type": challenge.challenge_type,
        "challenge_secret": "",
        "challenge_expires_at": f"{challenge.expires_at:%Y-%m-%dT%H:%M:%SZ}",
    }
    return Refusal(
        "interaction_required",
        InteractionRequired(told),
        status="interaction_required",
        facts={"challenge_id": challenge.id, "why": "A person has to approve it."},
    )


def _invalid(reason: str) -> Refusal:
    return Refusal(reason, ChallengeInvalid(), status=reason)


def _requester(application: Application, request: TokenRequest) -> Actor:
    return Actor(
        kind=ActorKind.APPLICATION,
        id=application.id,
        name=application.id,
        scope=" ".join(request.scopes),
        zone_id=application.zone_id,
        client_id=application.id,
    )
