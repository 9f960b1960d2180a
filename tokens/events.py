"""What happens to authority sessions, signing keys and step-up challenges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from audit.events import Event, News

SESSIONS_REVOKE = "caracal.sessions.revoke"
KEYS_INVALIDATE = "caracal.keys.invalidate"
STEP_UP_LIFECYCLE = "caracal.step_up.lifecycle"


@dataclass(frozen=True, kw_only=True)
class SessionRevoked(Event):
    """An authority session ended before its time."""

    name: ClassVar[str] = "session.revoked"
    entity_type: ClassVar[str] = "sessions"
    sentence: ClassVar[str] = "A session was revoked."

    reason: str
    producer: str = "api"
    grant_id: str | None = None

    def summary(self) -> dict[str, Any]:
        return {"session_reason": self.reason}

    def news(self) -> list[News]:
        payload = {
            "zone_id": self.zone_id,
            "session_id": self.entity_id,
            "reason": self.reason,
            **({"grant_id": self.grant_id} if self.grant_id else {}),
        }
        key = f"session_revoked:{self.entity_id}"
        by_coordinator = self.producer == "coordinator"
        return [
            News(
                SESSIONS_REVOKE, payload, self.producer, key if by_coordinator else None
            )
        ]


@dataclass(frozen=True, kw_only=True)
class _KeysChanged(Event):
    entity_type: ClassVar[str] = "signing-keys"

    version: int

    def summary(self) -> dict[str, Any]:
        return {"version": self.version}

    def news(self) -> list[News]:
        return [News(KEYS_INVALIDATE, {"zone_id": self.zone_id}, "api")]


@dataclass(frozen=True, kw_only=True)
class SigningKeyPublished(_KeysChanged):
    """A zone's next key was made; it signs once every verifier may know it."""

    name: ClassVar[str] = "signing_key.published"
    sentence: ClassVar[str] = "A signing key was published."


@dataclass(frozen=True, kw_only=True)
class SigningKeyTookOver(_KeysChanged):
    """A published key began to sign; the one before it only verifies."""

    name: ClassVar[str] = "signing_key.took_over"
    sentence: ClassVar[str] = "A signing key took over."


@dataclass(frozen=True, kw_only=True)
class SigningKeyWithdrawn(_KeysChanged):
    """A key is no longer trusted; what it signed is worthless from now on."""

    name: ClassVar[str] = "signing_key.withdrawn"
    sentence: ClassVar[str] = "A signing key was withdrawn."


@dataclass(frozen=True, kw_only=True)
class _ChallengeChanged(Event):
    entity_type: ClassVar[str] = "step-up-challenges"
    state: ClassVar[str]
    producer: ClassVar[str] = "api"

    application_id: str

    def summary(self) -> dict[str, Any]:
        return {"application_id": self.application_id}

    def news(self) -> list[News]:
        payload = {
            "event": self.name,
            "zone_id": self.zone_id,
            "challenge_id": self.entity_id,
            "application_id": self.application_id,
            "state": self.state,
        }
        by_coordinator = self.producer == "coordinator"
        key = f"{self.name}:{self.entity_id}" if by_coordinator else None
        return [News(STEP_UP_LIFECYCLE, payload, self.producer, key)]


@dataclass(frozen=True, kw_only=True)
class StepUpRequested(_ChallengeChanged):
    """A token request waits for a person."""

    name: ClassVar[str] = "step_up.requested"
    sentence: ClassVar[str] = "A token request waits for approval."
    state: ClassVar[str] = "pending"
    producer: ClassVar[str] = "coordinator"

    resources: tuple[str, ...]
    scopes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        asked = {"resources": list(self.resources), "scopes": list(self.scopes)}
        return {**super().summary(), **asked}


@dataclass(frozen=True, kw_only=True)
class StepUpSatisfied(_ChallengeChanged):
    """A person approved a token request."""

    name: ClassVar[str] = "step_up.satisfied"
    sentence: ClassVar[str] = "A token request was approved."
    state: ClassVar[str] = "satisfied"


@dataclass(frozen=True, kw_only=True)
class StepUpRejected(_ChallengeChanged):
    """A person rejected a token request."""

    name: ClassVar[str] = "step_up.rejected"
    sentence: ClassVar[str] = "A token request was rejected."
    state: ClassVar[str] = "rejected"


@dataclass(frozen=True, kw_only=True)
class StepUpConsumed(_ChallengeChanged):
    """The token that was approved went out."""

    name: ClassVar[str] = "step_up.consumed"
    sentence: ClassVar[str] = "An approval was used for its token."
    state: ClassVar[str] = "consumed"
    producer: ClassVar[str] = "coordinator"

    session_id: str

    def summary(self) -> dict[str, Any]:
        return {**super().summary(), "session_id": self.session_id}


@dataclass(frozen=True, kw_only=True)
class StepUpExpired(_ChallengeChanged):
    """Nobody answered in time, or nobody used the answer."""

    name: ClassVar[str] = "step_up.expired"
    sentence: ClassVar[str] = "A request for approval ran out of time."
    state: ClassVar[str] = "expired"
