"""One way for applications to end, whoever ends them (contract: Better 30)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models.functions import Now

from agents import services as agents
from audit.events import Event
from caracal_site.actors import Actor
from tokens import services as tokens
from zones.models import Application
from zones.services import bindings


@dataclass(frozen=True, slots=True)
class Ended:
    """How much ended, and the news of it for the caller's own record."""

    applications: int
    sessions: int
    agents: int
    delegations: int
    events: tuple[Event, ...]

    @property
    def counts(self) -> dict[str, int]:
        return {
            "applications": self.applications,
            "sessions": self.sessions,
            "agents": self.agents,
            "delegations": self.delegations,
        }


def end_applications(
    actor: Actor, *, zone_id: str, application_ids: Sequence[str], reason: str
) -> Ended:
    """Archives applications, locked by the caller, with all that acts for them."""
    Application.objects.in_zone(zone_id).filter(id__in=application_ids).update(
        archived_at=Now(), updated_at=Now()
    )
    bindings.unbind_applications(zone_id, application_ids)
    return end_acting(
        actor, zone_id=zone_id, application_ids=application_ids, reason=reason
    )


def end_acting(
    actor: Actor, *, zone_id: str, application_ids: Sequence[str] | None, reason: str
) -> Ended:
    """Ends the agents and sessions of applications, or of the whole zone (None)."""
    ended = agents.end_agents_of(
        actor, zone_id=zone_id, application_ids=application_ids, reason=reason
    )
    sessions = tokens.revoke_sessions(
        zone_id=zone_id, client_ids=application_ids, reason=reason
    )
    return Ended(
        applications=len(application_ids or ()),
        sessions=len(sessions),
        agents=ended.agents,
        delegations=ended.edges,
        events=tuple(sessions),
    )
