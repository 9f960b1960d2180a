"""What happens to grants and connected accounts. None of them tells a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from audit.events import Event


@dataclass(frozen=True, kw_only=True)
class _OfGrant(Event):
    entity_type: ClassVar[str] = "grants"

    application_id: str
    user_id: str
    resource_id: str

    def summary(self) -> dict[str, Any]:
        return {
            "application_id": self.application_id,
            "user_id": self.user_id,
            "resource_id": self.resource_id,
        }


@dataclass(frozen=True, kw_only=True)
class GrantCreated(_OfGrant):
    name: ClassVar[str] = "grant.created"
    sentence: ClassVar[str] = "A user's grant to an application was recorded."

    scopes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        return {**super().summary(), "scopes": list(self.scopes)}


@dataclass(frozen=True, kw_only=True)
class _GrantEnded(_OfGrant):
    """The counts are of what ended with the grant."""

    sessions: int = 0
    agents: int = 0
    delegations: int = 0

    def summary(self) -> dict[str, Any]:
        return {
            **super().summary(),
            "changed_fields": [],
            "revoked_sessions": self.sessions,
            "terminated_agents": self.agents,
            "revoked_delegations": self.delegations,
        }


@dataclass(frozen=True, kw_only=True)
class GrantRevoked(_GrantEnded):
    name: ClassVar[str] = "grant.revoked"
    sentence: ClassVar[str] = "A grant was revoked, and what was done under it ended."


@dataclass(frozen=True, kw_only=True)
class GrantExpired(_GrantEnded):
    name: ClassVar[str] = "grant.expired"
    sentence: ClassVar[str] = "A grant expired, and what was done under it ended."


@dataclass(frozen=True, kw_only=True)
class _OfProviderGrant(Event):
    entity_type: ClassVar[str] = "provider-grants"

    user_id: str
    resource_id: str
    provider_id: str

    def summary(self) -> dict[str, Any]:
        return {
            "user_id": self.user_id,
            "resource_id": self.resource_id,
            "provider_id": self.provider_id,
        }


@dataclass(frozen=True, kw_only=True)
class ProviderAuthorizationStarted(_OfProviderGrant):
    name: ClassVar[str] = "provider_grant.authorization_started"
    sentence: ClassVar[str] = "A user was sent to connect an account at a provider."


@dataclass(frozen=True, kw_only=True)
class ProviderGrantStored(_OfProviderGrant):
    """Tokens were given, or fetched for a code; ``replaced`` says that there were
    others before."""

    name: ClassVar[str] = "provider_grant.stored"
    sentence: ClassVar[str] = "The tokens of a user's account were stored."

    scopes: tuple[str, ...]
    replaced: bool
    by_oauth: bool

    def summary(self) -> dict[str, Any]:
        return {
            **super().summary(),
            "scopes": list(self.scopes),
            "replaced": self.replaced,
            "by_oauth": self.by_oauth,
            "secret_rotated": True,
        }


@dataclass(frozen=True, kw_only=True)
class ProviderGrantRefreshed(_OfProviderGrant):
    name: ClassVar[str] = "provider_grant.refreshed"
    sentence: ClassVar[str] = "The tokens of a user's account were renewed."


@dataclass(frozen=True, kw_only=True)
class ProviderGrantRevoked(_OfProviderGrant):
    name: ClassVar[str] = "provider_grant.revoked"
    sentence: ClassVar[str] = "A user's account was disconnected; its tokens are gone."


@dataclass(frozen=True, kw_only=True)
class ProviderGrantExpired(_OfProviderGrant):
    name: ClassVar[str] = "provider_grant.expired"
    sentence: ClassVar[str] = "The tokens of a user's account cannot be renewed."
