"""What people do with requests that wait for them: approve or reject, once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from audit.models import AdminAuditEvent
from audit.record import record
from caracal_site import statements
from caracal_site.actors import Actor, ActorKind, system
from caracal_site.api.permissions import authorise
from caracal_site.preconditions import UNCONDITIONAL, Precondition
from tokens.errors import ChallengeNotFound, ChallengeNotSatisfiable
from tokens.events import StepUpExpired, StepUpRejected, StepUpSatisfied
from tokens.models import (
    ChallengeState,
    Session,
    SessionType,
    StepUpChallenge,
)
from tokens.services.waiting import ANSWERED

APPROVERS = {ActorKind.ADMIN_TOKEN: "admin:", ActorKind.CONSOLE: ""}
# After these the application's secret is known to whoever did them.
SECRET_GIVEN = (
    "application.created",
    "application.registered",
    "application.secret_rotated",
)
GONE = {
    "application": "The application that asked is no longer in force.",
    "session": "The session that the request names has ended.",
    "agent": "The agent that the token would be for has ended.",
    "edge": "The delegation that the token would rest on has ended.",
}
OVER = {
    ChallengeState.SATISFIED: "It was approved already.",
    ChallengeState.REJECTED: "It was rejected already.",
    ChallengeState.CONSUMED: "It was approved, and the token went out.",
    ChallengeState.EXPIRED: "It was not answered in time.",
}


@dataclass(frozen=True, slots=True)
class Answered:
    """How a challenge was answered, by whom and when; ``version`` is the row's."""

    id: str
    state: str
    by: str
    at: datetime
    version: int


@transaction.atomic
def satisfy_challenge(
    challenge_id: str,
    *,
    zone_id: str,
    actor: Actor,
    reason: str | None = None,
    if_match: Precondition = UNCONDITIONAL,
) -> Answered:
    """Approves a waiting request: the same request gets its token now, once.

    Raises ChallengeNotFound, PreconditionFailed, or ChallengeNotSatisfiable: when it
    is not pending any more, when what it was asked for has ended, and when ``actor``
    may be the requester.
    """
    challenge = _lock(challenge_id, zone_id=zone_id, actor=actor, if_match=if_match)
    _refuse_requester(challenge, actor)
    _refuse_gone(challenge)
    answered = _answer(
        challenge,
        state=ChallengeState.SATISFIED,
        reason=reason,
        satisfied_at=Now(),
        approver_subject_id=_name(actor),
    )
    record(actor, StepUpSatisfied(**_about(challenge)), reason=reason)
    return Answered(
        answered.id,
        answered.state,
        answered.approver_subject_id or "",
        answered.satisfied_at,
        answered.version,
    )


@transaction.atomic
def reject_challenge(
    challenge_id: str,
    *,
    zone_id: str,
    actor: Actor,
    reason: str,
    if_match: Precondition = UNCONDITIONAL,
) -> Answered:
    """Turns a waiting request down. Raises ChallengeNotFound, PreconditionFailed or
    ChallengeNotSatisfiable."""
    challenge = _lock(challenge_id, zone_id=zone_id, actor=actor, if_match=if_match)
    answered = _answer(
        challenge,
        state=ChallengeState.REJECTED,
        reason=reason,
        rejected_at=Now(),
        rejected_by=_name(actor),
    )
    record(actor, StepUpRejected(**_about(challenge)), reason=reason)
    return Answered(
        answered.id,
        answered.state,
        answered.rejected_by or "",
        answered.rejected_at,
        answered.version,
    )


def expire_challenges() -> int:
    """Writes down whose time is over; returns how many. Each batch commits."""
    expired = 0
    while True:
        batch = _expire_batch(int(settings.SWEEPER_BATCH_SIZE))
        expired += batch
        if batch < settings.SWEEPER_BATCH_SIZE:
            return expired


@transaction.atomic
def _expire_batch(size: int) -> int:
    overdue = StepUpChallenge.objects.overdue().order_by("expires_at")
    rows = list(overdue.select_for_update(skip_locked=True)[:size])
    for challenge in rows:
        StepUpChallenge.objects.filter(id=challenge.id).update(
            state=ChallengeState.EXPIRED
        )
        expired = StepUpExpired(**_about(challenge))
        record(system("expire-step-up-challenges"), expired)
    return len(rows)


def may_have_asked(challenge: StepUpChallenge, actor: Actor) -> bool:
    """Whether ``actor`` may stand behind the request.

    The applications themselves, an assistant that acts in a person's name, the person
    whose session it is, and whoever was told the application's secret last. A token of
    all zones is the platform's own: it makes every application, and so is no sign.
    """
    if actor.kind not in APPROVERS or actor.by_operator:
        return True
    if actor.kind is ActorKind.ADMIN_TOKEN and actor.is_global:
        return _is_subject(challenge, actor)
    return _holds_secret(challenge, actor) or _is_subject(challenge, actor)


def _refuse_requester(challenge: StepUpChallenge, actor: Actor) -> None:
    if may_have_asked(challenge, actor):
        raise ChallengeNotSatisfiable(
            "Who asks cannot approve: somebody who does not hold the application's"
            " secret must."
        )


def _holds_secret(challenge: StepUpChallenge, actor: Actor) -> bool:
    told = (
        AdminAuditEvent.objects.about(challenge.application_id)
        .filter(payload_json__event__in=SECRET_GIVEN)
        .order_by("-position")
        .values_list("actor_id", flat=True)
    )
    return told.first() == actor.id


def _is_subject(challenge: StepUpChallenge, actor: Actor) -> bool:
    names = {actor.id, actor.name, *([actor.author] if actor.author else [])}
    return (
        challenge.session_id is not None
        and Session.objects.filter(
            id=challenge.session_id,
            session_type=SessionType.USER,
            subject_id__in=names,
        ).exists()
    )


def _refuse_gone(challenge: StepUpChallenge) -> None:
    stands = statements.fetch_one(
        "tokens/challenge_stands",
        {
            "zone_id": challenge.zone_id,
            "application_id": challenge.application_id,
            "session_id": challenge.session_id,
            "agent_id": challenge.agent_session_id,
            "edge_id": challenge.delegation_edge_id,
        },
    )
    for kind, is_there in zip(GONE, stands, strict=True):
        if not is_there:
            raise ChallengeNotSatisfiable(GONE[kind])


def _lock(
    challenge_id: str, *, zone_id: str, actor: Actor, if_match: Precondition
) -> StepUpChallenge:
    """The pending challenge, which nobody else changes until the transaction ends."""
    authorise(actor, zone_id=zone_id, writes=True)
    challenges = StepUpChallenge.objects.in_zone(zone_id).with_standing()
    found: Any = challenges.select_for_update().filter(id=challenge_id).first()
    if found is None:
        raise ChallengeNotFound
    if_match.check(found.version)
    if found.standing != ChallengeState.PENDING:
        raise ChallengeNotSatisfiable(OVER[found.standing])
    challenge: StepUpChallenge = found
    return challenge


def _answer(challenge: StepUpChallenge, **columns: Any) -> Any:
    StepUpChallenge.objects.filter(id=challenge.id).update(**columns)
    challenge.refresh_from_db()
    # Sent on commit, to those of every process that wait for it: an answer reaches them
    # without the publisher, and so without the stream server.
    statements.execute("tokens/notify", {"topic": f"{ANSWERED}{challenge.id}"})
    return challenge


def _about(challenge: StepUpChallenge) -> dict[str, Any]:
    return {
        "zone_id": challenge.zone_id,
        "entity_id": challenge.id,
        "application_id": challenge.application_id,
    }


def _name(actor: Actor) -> str:
    return f"{APPROVERS.get(actor.kind, '')}{actor.id}"
