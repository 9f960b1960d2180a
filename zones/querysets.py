"""Questions about zones and what lives in them, as English."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import (
    BooleanField,
    ExpressionWrapper,
    OuterRef,
    Q,
    Subquery,
)
from django.db.models.functions import Now

RESERVED_SLUG_PREFIX = "caracal-sys-"
RESERVED_NAME_PREFIX = "caracal.sys/"


RESERVED = Q(slug__istartswith=RESERVED_SLUG_PREFIX) | Q(
    name__istartswith=RESERVED_NAME_PREFIX
)


class ZoneQuerySet(models.QuerySet):
    def live(self) -> Self:
        return self.filter(archived_at=None)

    def reserved(self) -> Self:
        return self.filter(RESERVED)

    def listed(self) -> Self:
        """Live and not one of the platform's own."""
        return self.live().tenants()

    def tenants(self) -> Self:
        """Not one of the platform's own."""
        return self.exclude(RESERVED)

    def marking_reserved(self) -> Self:
        """Adds ``is_reserved``: whether the zone is one of the platform's own."""
        return self.annotate(
            is_reserved=ExpressionWrapper(RESERVED, output_field=BooleanField())
        )

    def of_account(self, account_id: str | None) -> Self:
        """Those of one account of a web console; without an account, all."""
        return self if account_id is None else self.filter(owner_account_id=account_id)


class InZoneQuerySet(models.QuerySet):
    def in_zone(self, zone_id: str) -> Self:
        return self.filter(zone_id=zone_id)

    def live(self) -> Self:
        return self.filter(archived_at=None)


class ApplicationQuerySet(InZoneQuerySet):
    def managed(self) -> Self:
        return self.filter(registration_method="managed")

    def dynamic(self) -> Self:
        return self.filter(registration_method="dcr")

    def unexpired(self) -> Self:
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=Now()))

    def expired(self) -> Self:
        return self.filter(expires_at__lte=Now())

    def marking_expired(self) -> Self:
        """Adds ``is_expired``."""
        expired = Q(expires_at__isnull=False, expires_at__lte=Now())
        return self.annotate(
            is_expired=ExpressionWrapper(expired, output_field=BooleanField())
        )


class ProviderQuerySet(InZoneQuerySet):
    pass


class ResourceQuerySet(InZoneQuerySet):
    def with_gateway_application(self) -> Self:
        """Adds ``gateway_application_id``: who fronts the resource, or None."""
        from zones.models import GatewayBinding

        binding = GatewayBinding.objects.filter(
            zone_id=OuterRef("zone_id"), resource_identifier=OuterRef("identifier")
        )
        return self.annotate(
            gateway_application_id=Subquery(binding.values("application_id")[:1])
        )

    def fronted_by(self, *application_ids: str) -> Self:
        """Those that one of these applications fronts."""
        from zones.models import GatewayBinding

        bindings = GatewayBinding.objects.filter(
            zone_id=OuterRef("zone_id"), application_id__in=application_ids
        )
        return self.filter(
            identifier__in=Subquery(bindings.values("resource_identifier"))
        )


class AdminTokenQuerySet(models.QuerySet):
    def usable(self) -> Self:
        """Not revoked, not expired, and its zone, if it has one, not archived."""
        return self.filter(
            Q(expires_at=None) | Q(expires_at__gt=Now()),
            Q(zone=None) | Q(zone__archived_at=None),
            revoked_at=None,
        )
