"""The end of a grant, and of what was done under it and no other (policies W27)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from django.db import transaction

from agents import services as agents
from audit.events import Event
from audit.record import record
from caracal_site import actors, database
from caracal_site.actors import Actor
from caracal_site.errors import ZoneNotFound
from caracal_site.preconditions import UNCONDITIONAL, Precondition
from delegations import services as delegations
from delegations.services.ending import Fall
from policies.grants import errors, events
from policies.grants.ending import ended_columns
from policies.grants.models import Grant, GrantStatus
from policies.grants.querysets import GrantQuerySet
from policies.grants.services.granting import EXPIRED
from tokens import services as tokens
from zones.services import Ended, hold_zone

REVOKED = "grant_revoked"
BATCH = 100


@dataclass(frozen=True, slots=True)
class Revocation:
    """The end of a grant, done or foreseen; empty where it had ended before."""

    grant: Grant
    ended: Ended


def revoke_grant(
    grant_id: str,
    *,
    zone_id: str,
    actor: Actor,
    reason: str,
    if_match: Precondition = UNCONDITIONAL,
) -> Revocation:
    """Ends a grant with what the application does for its user.

    While the user has no other grant to the application, the user's sessions with it
    end, and the agents on them. Else they go on, without the delegations over the
    resource of this grant. Sessions with other applications and of others are never
    touched. Revoking what has ended changes nothing.

    Raises ZoneNotFound, GrantNotFound or PreconditionFailed.
    """
    return database.retried(
        partial(_revoke, grant_id, zone_id, actor, reason, if_match)
    )


@transaction.atomic
def preview_grant_revocation(
    grant_id: str,
    *,
    zone_id: str,
    actor: Actor,
    if_match: Precondition = UNCONDITIONAL,
) -> Revocation:
    """What ``revoke_grant`` would end; raises what it does."""
    hold_zone(zone_id, actor=actor)
    grant = _found(Grant.objects.all(), grant_id, zone_id)
    if_match.check(grant.version)
    return foresee_grant(grant)


def foresee_grant(grant: Grant) -> Revocation:
    """What would end with the grant."""
    if grant.status != GrantStatus.ACTIVE:
        return Revocation(grant, Ended())
    zone_id, sessions = grant.zone_id, _sessions(grant)
    if not _others(grant).exists():
        acting = agents.preview_end_on(zone_id=zone_id, session_ids=sessions)
        return Revocation(
            grant,
            Ended(
                sessions=sessions,
                agents=acting.agents,
                delegations=acting.edges,
                invocations=acting.invocations,
            ),
        )
    fall = delegations.preview_over_resource(
        zone_id=zone_id,
        resource_id=grant.resource_id,
        identifier=grant.resource.identifier,
        session_ids=sessions,
    )
    return Revocation(grant, _of_fall(fall))


def expire_due_grants() -> int:
    """Ends grants past their time, each in its own transaction; how many."""
    actor, ended = actors.system("expire-grants"), 0
    while True:
        due = Grant.objects.overdue().order_by("expires_at", "id")
        batch = list(due.values_list("zone_id", "id")[:BATCH])
        found = sum(
            database.retried(partial(_expire, zone_id, grant_id, actor))
            for zone_id, grant_id in batch
        )
        ended += found
        if len(batch) < BATCH or not found:
            return ended


@transaction.atomic
def _revoke(
    grant_id: str, zone_id: str, actor: Actor, reason: str, if_match: Precondition
) -> Revocation:
    hold_zone(zone_id, actor=actor)
    grant = _locked(grant_id, zone_id)
    if_match.check(grant.version)
    if grant.status != GrantStatus.ACTIVE:
        return Revocation(grant, Ended())
    return _end(actor, grant, events.GrantRevoked, REVOKED, reason)


@transaction.atomic
def _expire(zone_id: str, grant_id: str, actor: Actor) -> int:
    try:
        hold_zone(zone_id, actor=actor)
    except ZoneNotFound:
        return 0
    grant = _locked(grant_id, zone_id)
    if not Grant.objects.filter(id=grant_id).overdue().exists():
        return 0
    _end(actor, grant, events.GrantExpired, EXPIRED, "the grant's time is over")
    return 1


def _end(
    actor: Actor, grant: Grant, kind: type[Event], cause: str, reason: str
) -> Revocation:
    """Ends the grant, which is locked with all of its user's to the application."""
    status = GrantStatus.EXPIRED if cause == EXPIRED else GrantStatus.REVOKED
    Grant.objects.filter(id=grant.id).update(**ended_columns(Grant, cause, status))
    ended = _end_covered(actor, grant, cause)
    headline = kind(  # type: ignore[call-arg]  # one of the two ends of a grant
        zone_id=grant.zone_id,
        entity_id=grant.id,
        application_id=grant.application_id,
        user_id=grant.user_id,
        resource_id=grant.resource_id,
        sessions=len(ended.sessions),
        agents=len(ended.agents),
        delegations=len(ended.delegations),
    )
    record(actor, [headline, *ended.events], reason=reason)
    grant.refresh_from_db()
    return Revocation(grant, ended)


def _end_covered(actor: Actor, grant: Grant, cause: str) -> Ended:
    zone_id = grant.zone_id
    if _others(grant).exists():
        fall = delegations.revoke_over_resource(
            actor,
            zone_id=zone_id,
            resource_id=grant.resource_id,
            identifier=grant.resource.identifier,
            reason=cause,
            session_ids=_sessions(grant),
        )
        return _of_fall(fall)
    # Agents are locked before sessions everywhere; who began on one of these sessions
    # in between ends as well.
    first = agents.end_agents_on(
        actor, zone_id=zone_id, session_ids=_sessions(grant), reason=cause
    )
    revoked = tokens.revoke_sessions(
        zone_id=zone_id,
        client_ids=[grant.application_id],
        user_id=grant.user_id,
        reason=cause,
        grant_id=grant.id,
    )
    sessions = tuple(event.entity_id for event in revoked)
    second = agents.end_agents_on(
        actor, zone_id=zone_id, session_ids=sessions, reason=cause
    )
    return Ended(
        sessions=sessions,
        agents=(*first.agents, *second.agents),
        delegations=(*first.edges, *second.edges),
        invocations=(*first.invocations, *second.invocations),
        events=tuple(revoked),
    )


def _of_fall(fall: Fall) -> Ended:
    return Ended(
        agents=fall.agents, delegations=fall.edges, invocations=fall.invocations
    )


def _sessions(grant: Grant) -> tuple[str, ...]:
    """The user's sessions with the application, and what descends from them."""
    return tokens.preview_revocation(
        zone_id=grant.zone_id,
        client_ids=[grant.application_id],
        user_id=grant.user_id,
    )


def _others(grant: Grant) -> GrantQuerySet[Grant]:
    """What else the user has granted to the application."""
    granted = Grant.objects.in_zone(grant.zone_id).active()
    same = granted.of_user(grant.user_id, grant.application_id)
    return same.exclude(id=grant.id)


def _locked(grant_id: str, zone_id: str) -> Grant:
    """The grant, locked with all its user granted to the application: of two that end
    at once, the second sees that it is the last."""
    grant = _found(Grant.objects.all(), grant_id, zone_id)
    granted = Grant.objects.in_zone(zone_id).active()
    same = granted.of_user(grant.user_id, grant.application_id).order_by("id")
    list(same.select_for_update(no_key=True).values_list("id"))
    return _found(Grant.objects.all(), grant_id, zone_id)


def _found(rows: GrantQuerySet[Grant], grant_id: str, zone_id: str) -> Grant:
    named = rows.select_related("resource").in_zone(zone_id)
    found: Grant | None = named.filter(id=grant_id).first()
    if found is None:
        raise errors.GrantNotFound
    return found
