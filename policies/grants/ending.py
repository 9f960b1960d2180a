"""Grants end with what they are about: an application, a resource, a provider, a zone.

The services of zones call this when they archive, with the row locked, and record the
gesture. Nothing else ends with these grants that does not end with their object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models.functions import Now

from policies.grants.models import Grant, GrantStatus, ProviderGrant
from policies.grants.querysets import GrantQuerySet, ProviderGrantQuerySet


@dataclass(frozen=True, slots=True)
class EndedGrants:
    """The grants that ended, or would, by id."""

    grants: tuple[str, ...] = ()
    provider_grants: tuple[str, ...] = ()


def foresee_of_applications(zone_id: str, ids: Sequence[str]) -> EndedGrants:
    return EndedGrants(_ids(_of_applications(zone_id, ids)))


def end_of_applications(zone_id: str, ids: Sequence[str], reason: str) -> EndedGrants:
    return EndedGrants(_ended(_of_applications(zone_id, ids), reason))


def foresee_of_resource(zone_id: str, resource_id: str) -> EndedGrants:
    grants, provider_grants = _of_resource(zone_id, resource_id)
    return EndedGrants(_ids(grants), _ids(provider_grants))


def end_of_resource(zone_id: str, resource_id: str, reason: str) -> EndedGrants:
    grants, provider_grants = _of_resource(zone_id, resource_id)
    return EndedGrants(_ended(grants, reason), _ended(provider_grants, reason))


def foresee_of_provider(zone_id: str, provider_id: str) -> EndedGrants:
    return EndedGrants(provider_grants=_ids(_of_provider(zone_id, provider_id)))


def end_of_provider(zone_id: str, provider_id: str, reason: str) -> EndedGrants:
    return EndedGrants(
        provider_grants=_ended(_of_provider(zone_id, provider_id), reason)
    )


def number_in(zone_id: str) -> dict[str, int]:
    """How many grants of each kind stand in the zone."""
    return {kind: rows.count() for kind, rows in _in_zone(zone_id).items()}


def end_all(zone_id: str, reason: str) -> dict[str, int]:
    """Ends every grant of the zone; how many of each kind there were."""
    return {
        kind: rows.update(**ended_columns(rows.model, reason))
        for kind, rows in _in_zone(zone_id).items()
    }


def ended_columns(
    model: type[Any], reason: str, status: str = GrantStatus.REVOKED
) -> dict[str, Any]:
    """The columns of a grant that ends now. Tokens are erased."""
    columns = {
        "status": status,
        "ended_at": Now(),
        "ended_reason": reason,
        "updated_at": Now(),
    }
    if model is ProviderGrant:
        columns |= {
            "sealed_tokens": None,
            "is_renewable": False,
            "refreshing_until": None,
        }
    return columns


def _of_applications(zone_id: str, ids: Sequence[str]) -> GrantQuerySet[Grant]:
    return Grant.objects.in_zone(zone_id).active().filter(application_id__in=ids)


def _of_resource(
    zone_id: str, resource_id: str
) -> tuple[GrantQuerySet[Grant], ProviderGrantQuerySet[ProviderGrant]]:
    grants = Grant.objects.in_zone(zone_id).active()
    connected = ProviderGrant.objects.in_zone(zone_id).active()
    named = {"resource_id": resource_id}
    return grants.filter(**named), connected.filter(**named)


def _of_provider(
    zone_id: str, provider_id: str
) -> ProviderGrantQuerySet[ProviderGrant]:
    active = ProviderGrant.objects.in_zone(zone_id).active()
    return active.filter(provider_id=provider_id)


def _in_zone(zone_id: str) -> dict[str, Any]:
    return {
        "grants": Grant.objects.in_zone(zone_id).active(),
        "provider_grants": ProviderGrant.objects.in_zone(zone_id).active(),
    }


def _ids(rows: Any) -> tuple[str, ...]:
    return tuple(rows.order_by("id").values_list("id", flat=True))


def _ended(rows: Any, reason: str) -> tuple[str, ...]:
    locked = rows.order_by("id").select_for_update(no_key=True)
    ids = tuple(locked.values_list("id", flat=True))
    if ids:
        rows.filter(id__in=ids).update(**ended_columns(rows.model, reason))
    return ids
