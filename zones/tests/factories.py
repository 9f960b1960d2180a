"""Zones and what lives in them, made by the services as any caller makes them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from audit.models import AdminAuditEvent
from caracal_site.actors import Actor, ActorKind
from caracal_site.ids import new_id
from zones import services
from zones.models import Application, Provider, Resource, Zone
from zones.services import IssuedApplication, ResourceFields

ACTOR = Actor(kind=ActorKind.ADMIN_TOKEN, id="test-token", name="tests", scope="global")


def make_zone(name: str = "", **fields: Any) -> Zone:
    return services.create_zone(name or new_id(), actor=ACTOR, **fields)


def make_application(zone: Zone, name: str = "", **fields: Any) -> IssuedApplication:
    return services.create_application(
        name or new_id(), zone_id=zone.id, actor=ACTOR, **fields
    )


def make_dynamic(zone: Zone, seconds: int = 600) -> Application:
    """A self-registered application; the zone takes them from then on."""
    if not zone.dcr_enabled:
        services.change_zone(zone.id, actor=ACTOR, changes={"dcr_enabled": True})
        zone.dcr_enabled = True
    return services.register_application(
        new_id(), zone_id=zone.id, actor=ACTOR, expires_in_seconds=seconds
    ).application


def expire(application: Application) -> None:
    """Puts the end of a self-registered application into the past."""
    Application.objects.filter(id=application.id).update(
        expires_at=Now() - timedelta(seconds=1)
    )


def make_provider(zone: Zone, **fields: Any) -> Provider:
    fields.setdefault("name", new_id())
    return services.create_provider("none", zone_id=zone.id, actor=ACTOR, **fields)


def resource_fields(zone: Zone, **fields: Any) -> ResourceFields:
    """The members of a good resource, with a provider and an application made for it
    unless they are given."""
    if "credential_provider_id" not in fields:
        fields["credential_provider_id"] = make_provider(zone).id
    if "gateway_application_id" not in fields:
        fields["gateway_application_id"] = make_application(zone).application.id
    whole: Any = {
        "name": "Docs",
        "scopes": ["read", "write"],
        "upstream_url": "https://up.example.com/x",
        **fields,
    }
    found: ResourceFields = whole
    return found


def make_resource(zone: Zone, **fields: Any) -> Resource:
    return services.create_resource(
        zone_id=zone.id, actor=ACTOR, fields=resource_fields(zone, **fields)
    )


def told(row: AdminAuditEvent) -> dict[str, Any]:
    """What an audit row says of what happened."""
    assert row.payload_json is not None
    return dict(row.payload_json)
