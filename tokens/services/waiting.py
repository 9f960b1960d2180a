"""What becomes of a step-up challenge, for those who wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tokens.errors import NoSuchStepUp, StepUpExpired
from tokens.models import ChallengeState, StepUpChallenge

# What the notification of an answer begins with; the challenge's id follows.
ANSWERED = "step-up "
FACTS = (
    "id",
    "zone_id",
    "application_id",
    "challenge_type",
    "standing",
    "expires_at",
    "satisfied_at",
    "approver_subject_id",
    "metadata_json",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A challenge as it stands now."""

    id: str
    zone_id: str
    application_id: str
    challenge_type: str
    state: str
    expires_at: datetime
    satisfied_at: datetime | None
    approver: str | None
    metadata: dict[str, Any]

    @property
    def is_pending(self) -> bool:
        return self.state == ChallengeState.PENDING

    def for_everybody(self) -> dict[str, Any]:
        """What its bare id tells: whether to go on waiting, and nothing of what was
        asked or who answered."""
        return {
            "id": self.id,
            "challenge_type": self.challenge_type,
            "state": self.state,
            "satisfied": self.satisfied_at is not None,
            "consumed": self.state == ChallengeState.CONSUMED,
            "expires_at": f"{self.expires_at:%Y-%m-%dT%H:%M:%SZ}",
        }

    def for_requester(self) -> dict[str, Any]:
        return {
            **self.for_everybody(),
            "approver": self.approver,
            "metadata": self.metadata,
        }


def challenge_standing(challenge_id: str) -> Standing:
    """How the challenge stands. Raises NoSuchStepUp or StepUpExpired."""
    marked = StepUpChallenge.objects.with_standing()
    row = marked.filter(id=challenge_id).values_list(*FACTS).first()
    if row is None:
        raise NoSuchStepUp
    found = Standing(*row)
    if found.state == ChallengeState.EXPIRED:
        raise StepUpExpired
    return found
