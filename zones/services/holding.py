"""Keeping what a change refers to in force until the change has committed.

``FOR KEY SHARE`` lets any number of changes refer to one row at a time and makes only
archiving, which takes the row's exclusive lock, wait for them.
"""

from __future__ import annotations

from typing import TypeVar

from django.db import models
from django.db.models.query import RawQuerySet

from caracal_site import statements
from caracal_site.actors import Actor
from caracal_site.api.errors import SystemZoneReadOnly, ZoneForbidden
from caracal_site.api.permissions import authorise
from caracal_site.errors import ZoneNotFound
from zones import errors, rules
from zones.models import Application, Provider, RegistrationMethod, Resource, Zone

M = TypeVar("M", bound=models.Model)
COLUMNS = [field.attname for field in Zone._meta.concrete_fields]
# Before almost every change, so that the ORM does not build it anew each time.
HOLD = (
    f"SELECT {', '.join(COLUMNS)} FROM zones"  # noqa: S608 - the model's
    " WHERE id = %(zone_id)s AND archived_at IS NULL FOR KEY SHARE"
)


def hold_zone(zone_id: str, *, actor: Actor) -> Zone:
    """The zone, which stays live until the transaction ends.

    Refuses an actor that may not change what is in it. Raises ZoneNotFound.
    """
    authorise(actor, zone_id=zone_id, writes=True)
    rows = statements.fetch_rows(HOLD, {"zone_id": zone_id})
    zone = Zone.from_db(None, COLUMNS, rows[0]) if rows else None
    return permitted(zone, actor)


def lock_zone(zone_id: str, *, actor: Actor, ending: bool = False) -> Zone:
    """The live zone, which nobody else changes until the transaction ends.

    ``ending`` also waits for everybody who holds it. Raises ZoneNotFound.
    """
    authorise(actor, zone_id=zone_id, writes=True)
    zones = Zone.objects.live().select_for_update(no_key=not ending)
    return permitted(zones.filter(id=zone_id).first(), actor)


def permitted(zone: Zone | None, actor: Actor) -> Zone:
    """``zone`` when it exists, is not one of the platform's own for this actor, and is
    its account's where it acts for one."""
    if zone is None:
        raise ZoneNotFound
    if actor.account_id not in (None, zone.owner_account_id):
        raise ZoneForbidden
    if rules.is_reserved_zone(zone.name, zone.slug) and not actor.is_bootstrap:
        raise SystemZoneReadOnly
    return zone


def hold_provider(provider_id: str, *, zone_id: str) -> Provider:
    """The zone's live provider, kept so. Raises ProviderNotFound."""
    provider = _first(
        Provider.objects.raw(
            "SELECT * FROM providers WHERE id = %s AND zone_id = %s"
            " AND archived_at IS NULL FOR KEY SHARE",
            [provider_id, zone_id],
        )
    )
    if provider is None:
        raise errors.ProviderNotFound
    return provider


def hold_resource(resource_id: str, *, zone_id: str) -> Resource:
    """The zone's live resource, kept so. Raises ResourceNotFound."""
    resource = _first(
        Resource.objects.raw(
            "SELECT * FROM resources WHERE id = %s AND zone_id = %s"
            " AND archived_at IS NULL FOR KEY SHARE",
            [resource_id, zone_id],
        )
    )
    if resource is None:
        raise errors.ResourceNotFound
    return resource


def hold_application(application_id: str, *, zone_id: str) -> Application:
    """The zone's application in force, kept live. Raises ApplicationNotFound."""
    application = _first(
        Application.objects.raw(
            "SELECT * FROM applications WHERE id = %s AND zone_id = %s"
            " AND archived_at IS NULL AND (expires_at IS NULL OR expires_at > now())"
            " FOR KEY SHARE",
            [application_id, zone_id],
        )
    )
    if application is None:
        raise errors.ApplicationNotFound
    return application


def hold_gateway_application(application_id: str, *, zone_id: str) -> Application:
    """The zone's application in force, kept live, that may front a resource.

    Raises GatewayApplicationNotFound or GatewayApplicationMustBeManaged.
    """
    try:
        application = hold_application(application_id, zone_id=zone_id)
    except errors.ApplicationNotFound:
        raise errors.GatewayApplicationNotFound from None
    if application.registration_method != RegistrationMethod.MANAGED:
        raise errors.GatewayApplicationMustBeManaged
    return application


def _first(rows: RawQuerySet[M]) -> M | None:
    return next(iter(rows), None)
