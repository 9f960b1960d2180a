"""What happens to authority sessions and signing keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from audit.events import Event, News

SESSIONS_REVOKE = "caracal.sessions.revoke"
KEYS_INVALIDATE = "caracal.keys.invalidate"


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
