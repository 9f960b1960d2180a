"""Which application fronts which resource, and the revision gateways poll."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import F
from django.db.models.functions import Now

from zones.models import GatewayBinding, GatewayBindingRevision, Resource


def application_bound_to(zone_id: str, identifier: str) -> str | None:
    """Who fronts the resource, or None."""
    found = GatewayBinding.objects.filter(
        zone_id=zone_id, resource_identifier=identifier
    )
    return found.values_list("application_id", flat=True).first()


def bind(zone_id: str, identifier: str, application_id: str) -> None:
    """Makes the application front the resource, instead of any other."""
    GatewayBinding.objects.bulk_create(
        [
            GatewayBinding(
                zone_id=zone_id,
                resource_identifier=identifier,
                application_id=application_id,
            )
        ],
        update_conflicts=True,
        unique_fields=["zone_id", "resource_identifier"],
        update_fields=["application_id", "updated_at"],
    )


def move(zone_id: str, before: str, after: str) -> None:
    """Follows a resource to its new identifier."""
    bound = GatewayBinding.objects.filter(zone_id=zone_id, resource_identifier=before)
    bound.update(resource_identifier=after, updated_at=Now())


def unbind(zone_id: str, identifier: str) -> int:
    """Leaves the resource with no application; how many bindings went."""
    bound = GatewayBinding.objects.filter(
        zone_id=zone_id, resource_identifier=identifier
    )
    return bound.delete()[0]


def bound_to(zone_id: str, application_ids: Sequence[str]) -> tuple[str, ...]:
    """The live resources these applications front."""
    fronted = Resource.objects.in_zone(zone_id).live().fronted_by(*application_ids)
    return tuple(fronted.order_by("id").values_list("id", flat=True))


def unbind_applications(
    zone_id: str, application_ids: Sequence[str]
) -> tuple[str, ...]:
    """Takes every resource from these applications; returns which they were.

    The resources are changed by it, and before their bindings, as everywhere.
    """
    unbound = bound_to(zone_id, application_ids)
    Resource.objects.filter(id__in=unbound).update(updated_at=Now())
    bound = GatewayBinding.objects.filter(
        zone_id=zone_id, application_id__in=application_ids
    )
    if bound.delete()[0]:
        announce(zone_id)
    return unbound


def number_in(zone_id: str) -> int:
    """How many resources of the zone an application fronts."""
    return GatewayBinding.objects.filter(zone_id=zone_id).count()


def unbind_all(zone_id: str) -> int:
    """Leaves no binding in the zone; how many there were."""
    unbound = GatewayBinding.objects.filter(zone_id=zone_id).delete()[0]
    if unbound:
        announce(zone_id)
    return unbound


def announce(zone_id: str) -> None:
    """Has the zone's gateways read their bindings again."""
    GatewayBindingRevision.objects.filter(zone_id=zone_id).update(
        version=F("version") + 1, updated_at=Now()
    )
