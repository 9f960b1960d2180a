"""The lists of zones and what lives in them: columns, filters and orders."""

from __future__ import annotations

from dataclasses import replace

from caracal_site.api.pagination import Listing
from zones import filters
from zones.api import shapes

TIMES = {"created_at": "created_at", "updated_at": "updated_at"}
NAMED = {**TIMES, "name": "name"}

ZONES = Listing(
    name="zones",
    columns=shapes.ZONE,
    orders={**NAMED, "slug": "slug"},
    filterset=filters.ZoneFilter,
)
APPLICATIONS = Listing(
    name="applications",
    columns=shapes.APPLICATION,
    orders=NAMED,
    filterset=filters.ApplicationFilter,
)
APPLICATIONS_IN_ZONE = replace(APPLICATIONS, columns=shapes.APPLICATION_IN_ZONE)
PROVIDERS = Listing(
    name="providers",
    columns=shapes.PROVIDER,
    orders={**NAMED, "identifier": "identifier", "kind": "kind"},
    filterset=filters.ProviderFilter,
)
RESOURCES = Listing(
    name="resources",
    columns=shapes.RESOURCE,
    orders={**NAMED, "identifier": "identifier"},
    filterset=filters.ResourceFilter,
)
ADMIN_TOKENS = Listing(
    name="admin-tokens",
    columns=shapes.ADMIN_TOKEN,
    shape=shapes.admin_token,
    orders={"created_at": "created_at", "name": "name"},
    filterset=filters.AdminTokenFilter,
)
