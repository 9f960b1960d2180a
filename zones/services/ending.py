"""One way for what lives in a zone to end, whoever ends it (contract: Better 30)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models.functions import Now

from agents import services as agents
from audit.events import Event
from caracal_site.actors import Actor
from tokens import services as tokens
from zones.models import AdminToken, Application, Provider, Resource, ZoneUsage
from zones.querysets import InZoneQuerySet
from zones.services import bindings


@dataclass(frozen=True, slots=True)
class Ended:
    """How much ended, and the news of it for the caller's own record. ``bindings``
    counts the resources that lost the application that fronted them."""

    applications: int
    sessions: int
    agents: int
    delegations: int
    events: tuple[Event, ...]
    bindings: int = 0

    @property
    def counts(self) -> dict[str, int]:
        return {
            "applications": self.applications,
            "sessions": self.sessions,
            "agents": self.agents,
            "delegations": self.delegations,
            "bindings": self.bindings,
        }


@dataclass(frozen=True, slots=True)
class ZoneEnded:
    """How much ended with a zone."""

    acting: Ended
    resources: int
    providers: int
    admin_tokens: int

    @property
    def counts(self) -> dict[str, int]:
        return {
            **self.acting.counts,
            "resources": self.resources,
            "providers": self.providers,
            "admin_tokens": self.admin_tokens,
        }


def end_applications(
    actor: Actor, *, zone_id: str, application_ids: Sequence[str], reason: str
) -> Ended:
    """Archives applications, locked by the caller, with all that acts for them."""
    Application.objects.in_zone(zone_id).filter(id__in=application_ids).update(
        archived_at=Now(), updated_at=Now()
    )
    unbound = bindings.unbind_applications(zone_id, application_ids)
    ended = end_acting(
        actor, zone_id=zone_id, application_ids=application_ids, reason=reason
    )
    return replace(ended, applications=len(application_ids), bindings=unbound)


def end_zone(actor: Actor, *, zone_id: str, reason: str) -> ZoneEnded:
    """Ends all that acts and stands in a zone, which the caller has locked."""
    acting = end_acting(actor, zone_id=zone_id, application_ids=None, reason=reason)
    unbound = bindings.unbind_all(zone_id)
    ZoneUsage.objects.filter(zone_id=zone_id).update(resources=0)
    return ZoneEnded(
        acting=replace(
            acting,
            applications=_archive_all(Application.objects.in_zone(zone_id)),
            bindings=unbound,
        ),
        resources=_archive_all(Resource.objects.in_zone(zone_id)),
        providers=_archive_all(Provider.objects.in_zone(zone_id)),
        admin_tokens=AdminToken.objects.filter(zone_id=zone_id, revoked_at=None).update(
            revoked_at=Now()
        ),
    )


def end_acting(
    actor: Actor,
    *,
    zone_id: str,
    application_ids: Sequence[str] | None,
    reason: str,
    closes: bool = True,
) -> Ended:
    """Ends the agents and sessions of applications, or of the whole zone (None), and
    unless ``closes`` is False keeps new ones from being made."""
    ended = agents.end_agents_of(
        actor,
        zone_id=zone_id,
        application_ids=application_ids,
        reason=reason,
        closes=closes,
    )
    sessions = tokens.revoke_sessions(
        zone_id=zone_id, client_ids=application_ids, reason=reason
    )
    return Ended(
        applications=0,
        sessions=len(sessions),
        agents=ended.agents,
        delegations=ended.edges,
        events=tuple(sessions),
    )


def _archive_all(rows: InZoneQuerySet[Any]) -> int:
    return rows.live().update(archived_at=Now(), updated_at=Now())
