"""Recording what a user grants to an application."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from audit.record import record
from caracal_site.actors import Actor
from caracal_site.database import refused
from caracal_site.errors import Issue
from policies.grants import errors, events, rules
from policies.grants.ending import ended_columns
from policies.grants.models import Grant, GrantStatus
from zones.errors import ResourceNotFound
from zones.models import Resource
from zones.services import hold_application, hold_resource, hold_zone

ACTIVE_KEY = "delegated_grants_active_key"
EXPIRED = "grant_expired"


@transaction.atomic
def create_grant(
    *,
    zone_id: str,
    actor: Actor,
    application_id: str,
    user_id: str,
    resource_id: str,
    scopes: Sequence[str],
    expires_at: datetime | None = None,
) -> Grant:
    """Records that a user grants scopes of a resource to an application.

    Raises ZoneNotFound, ApplicationNotFound, ResourceNotFound,
    GrantScopesExceedResource, InvalidBody when the end is past, or GrantAlreadyActive.
    """
    hold_zone(zone_id, actor=actor)
    hold_application(application_id, zone_id=zone_id)
    resource = held_resource(resource_id, zone_id=zone_id, actor=actor)
    if rules.exceed(scopes, resource.scopes):
        raise errors.GrantScopesExceedResource
    _make_room(zone_id, application_id, user_id, resource_id)
    with refused(ACTIVE_KEY, errors.GrantAlreadyActive):
        grant = Grant.objects.create(
            zone_id=zone_id,
            application_id=application_id,
            user_id=user_id,
            resource_id=resource_id,
            scopes=list(scopes),
            expires_at=expires_at,
        )
    if Grant.objects.filter(id=grant.id).overdue().exists():
        raise errors.InvalidGrant([Issue(("expires_at",), "must be in the future")])
    created = events.GrantCreated(
        zone_id=zone_id,
        entity_id=grant.id,
        application_id=application_id,
        user_id=user_id,
        resource_id=resource_id,
        scopes=tuple(scopes),
    )
    record(actor, created)
    return grant


def held_resource(resource_id: str, *, zone_id: str, actor: Actor) -> Resource:
    """The live resource, kept so, if the actor sees it: tokens of one zone do not see
    the control resource. Raises ResourceNotFound."""
    resource = hold_resource(resource_id, zone_id=zone_id)
    if not actor.is_global and resource.identifier == settings.CONTROL_AUDIENCE:
        raise ResourceNotFound
    return resource


def _make_room(
    zone_id: str, application_id: str, user_id: str, resource_id: str
) -> None:
    """Refuses when such a grant is in force; one that is over, and that no job has
    found yet, is no obstacle."""
    same = Grant.objects.in_zone(zone_id).active().of_user(user_id, application_id)
    same = same.filter(resource_id=resource_id).select_for_update(no_key=True)
    found = same.annotate(now=Now()).values_list("id", "expires_at", "now").first()
    if found is None:
        return
    grant_id, expires_at, now = found
    if expires_at is None or expires_at > now:
        raise errors.GrantAlreadyActive(grant_id)
    ended = ended_columns(Grant, EXPIRED, GrantStatus.EXPIRED)
    Grant.objects.filter(id=grant_id).update(**ended)
