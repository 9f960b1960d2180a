"""What happens to zones and what lives in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from audit.events import Event
from caracal_site.times import to_wire


@dataclass(frozen=True, kw_only=True)
class _Changed(Event):
    """``changed_fields`` names what was given, never its values or any secret's name;
    ``secret_rotated`` tells that a secret was replaced."""

    changed_fields: tuple[str, ...] = ()
    secret_rotated: bool = False

    def summary(self) -> dict[str, Any]:
        told: dict[str, Any] = {"changed_fields": sorted(self.changed_fields)}
        if self.secret_rotated:
            told["secret_rotated"] = True
        return told


@dataclass(frozen=True, kw_only=True)
class _Ended(Event):
    """Something was archived; the counts are of what ended with it."""

    applications: int = 0
    sessions: int = 0
    agents: int = 0
    delegations: int = 0
    bindings: int = 0
    grants: int = 0
    provider_grants: int = 0

    def summary(self) -> dict[str, Any]:
        return {
            "changed_fields": [],
            "archived_applications": self.applications,
            "revoked_sessions": self.sessions,
            "terminated_agents": self.agents,
            "revoked_delegations": self.delegations,
            "removed_bindings": self.bindings,
            "revoked_grants": self.grants,
            "revoked_provider_grants": self.provider_grants,
        }


@dataclass(frozen=True, kw_only=True)
class ZoneCreated(_Changed):
    name: ClassVar[str] = "zone.created"
    entity_type: ClassVar[str] = "zones"
    sentence: ClassVar[str] = "A zone was created."


@dataclass(frozen=True, kw_only=True)
class ZoneChanged(_Changed):
    name: ClassVar[str] = "zone.changed"
    entity_type: ClassVar[str] = "zones"
    sentence: ClassVar[str] = "A zone was changed."


@dataclass(frozen=True, kw_only=True)
class SelfRegistrationEnded(_Changed):
    """A zone stopped applications from registering themselves.

    ``mode`` is ``keep_live``, ``revoke_live``, or ``no_live`` when there were none.
    """

    name: ClassVar[str] = "zone.dcr_shutdown"
    entity_type: ClassVar[str] = "zones"
    sentence: ClassVar[str] = "Self-registration of applications was switched off."

    mode: str
    live_applications: int
    ended: Mapping[str, int] | None = None

    def summary(self) -> dict[str, Any]:
        ended = self.ended or {}
        return {
            **super().summary(),
            "dcr_registration_disabled": True,
            "dcr_shutdown_mode": self.mode,
            "live_dcr_applications": self.live_applications,
            "revoked_applications": ended.get("applications", 0),
            "revoked_sessions": ended.get("sessions", 0),
            "terminated_agents": ended.get("agents", 0),
            "revoked_delegations": ended.get("delegations", 0),
        }


@dataclass(frozen=True, kw_only=True)
class ZoneArchived(_Ended):
    name: ClassVar[str] = "zone.archived"
    entity_type: ClassVar[str] = "zones"
    sentence: ClassVar[str] = "A zone was archived, and all that lived in it ended."

    resources: int = 0
    providers: int = 0
    admin_tokens: int = 0

    def summary(self) -> dict[str, Any]:
        return {
            **super().summary(),
            "archived_resources": self.resources,
            "archived_providers": self.providers,
            "revoked_admin_tokens": self.admin_tokens,
        }


@dataclass(frozen=True, kw_only=True)
class ApplicationCreated(_Changed):
    name: ClassVar[str] = "application.created"
    entity_type: ClassVar[str] = "applications"
    sentence: ClassVar[str] = "An application was created."


@dataclass(frozen=True, kw_only=True)
class ApplicationRegistered(_Changed):
    name: ClassVar[str] = "application.registered"
    entity_type: ClassVar[str] = "applications"
    sentence: ClassVar[str] = "An application registered itself."


@dataclass(frozen=True, kw_only=True)
class ApplicationChanged(_Changed):
    name: ClassVar[str] = "application.changed"
    entity_type: ClassVar[str] = "applications"
    sentence: ClassVar[str] = "An application was changed."


@dataclass(frozen=True, kw_only=True)
class ClientSecretRotated(_Changed):
    """``overlap_seconds`` is how long the secret before stays good; ``ended`` counts
    what was ended with it, None where nothing was to end."""

    name: ClassVar[str] = "application.secret_rotated"
    entity_type: ClassVar[str] = "applications"
    sentence: ClassVar[str] = "An application got a new client secret."

    secret_rotated: bool = True
    overlap_seconds: int
    ended: Mapping[str, int] | None = None

    def summary(self) -> dict[str, Any]:
        told = {**super().summary(), "overlap_seconds": self.overlap_seconds}
        if self.ended is not None:
            told["revoked_sessions"] = self.ended["sessions"]
            told["terminated_agents"] = self.ended["agents"]
            told["revoked_delegations"] = self.ended["delegations"]
        return told


@dataclass(frozen=True, kw_only=True)
class ApplicationArchived(_Ended):
    name: ClassVar[str] = "application.archived"
    entity_type: ClassVar[str] = "applications"
    sentence: ClassVar[str] = "An application was archived, and all it did ended."


@dataclass(frozen=True, kw_only=True)
class ProviderCreated(_Changed):
    name: ClassVar[str] = "provider.created"
    entity_type: ClassVar[str] = "providers"
    sentence: ClassVar[str] = "A provider was created."


@dataclass(frozen=True, kw_only=True)
class ProviderChanged(_Changed):
    name: ClassVar[str] = "provider.changed"
    entity_type: ClassVar[str] = "providers"
    sentence: ClassVar[str] = "A provider was changed."


@dataclass(frozen=True, kw_only=True)
class ProviderTested(_Changed):
    """The secrets of a provider were tried at its token endpoint, if it has one."""

    name: ClassVar[str] = "provider.tested"
    entity_type: ClassVar[str] = "providers"
    sentence: ClassVar[str] = "The connection of a provider was tested."

    status: str

    def summary(self) -> dict[str, Any]:
        return {**super().summary(), "status": self.status}


@dataclass(frozen=True, kw_only=True)
class ProviderArchived(_Ended):
    name: ClassVar[str] = "provider.archived"
    entity_type: ClassVar[str] = "providers"
    sentence: ClassVar[str] = "A provider was archived."


@dataclass(frozen=True, kw_only=True)
class ResourceCreated(_Changed):
    name: ClassVar[str] = "resource.created"
    entity_type: ClassVar[str] = "resources"
    sentence: ClassVar[str] = "A resource was created."


@dataclass(frozen=True, kw_only=True)
class ResourceChanged(_Changed):
    name: ClassVar[str] = "resource.changed"
    entity_type: ClassVar[str] = "resources"
    sentence: ClassVar[str] = "A resource was changed."


@dataclass(frozen=True, kw_only=True)
class ResourceArchived(_Ended):
    name: ClassVar[str] = "resource.archived"
    entity_type: ClassVar[str] = "resources"
    sentence: ClassVar[str] = "A resource was archived, with the delegations over it."


@dataclass(frozen=True, kw_only=True)
class AdminTokenMinted(_Changed):
    """What the token may do is told; what it is, never."""

    name: ClassVar[str] = "admin_token.minted"
    entity_type: ClassVar[str] = "admin-tokens"
    sentence: ClassVar[str] = "An admin token was minted."

    scope: str
    capability: str
    expires_at: datetime | None = None

    def summary(self) -> dict[str, Any]:
        return {
            **super().summary(),
            "scope": self.scope,
            "capability": self.capability,
            "expires_at": to_wire(self.expires_at),
        }


@dataclass(frozen=True, kw_only=True)
class AdminTokenRevoked(_Changed):
    name: ClassVar[str] = "admin_token.revoked"
    entity_type: ClassVar[str] = "admin-tokens"
    sentence: ClassVar[str] = "An admin token was revoked."


@dataclass(frozen=True, kw_only=True)
class AdminTokenSeeded(_Changed):
    """A token of the configuration came into force; those before it end soon."""

    name: ClassVar[str] = "admin_token.seeded"
    entity_type: ClassVar[str] = "admin-tokens"
    sentence: ClassVar[str] = "An admin token was taken from the configuration."

    superseded: int = 0

    def summary(self) -> dict[str, Any]:
        return {"superseded_tokens": self.superseded}
