"""Routes of zones, what lives in them, and admin tokens."""

from __future__ import annotations

from typing import Any

from django.urls import path

from zones.api.views import AdminTokensViewSet, ZonesViewSet, ZoneViewSet
from zones.api.zone_views import (
    ApplicationsViewSet,
    ProvidersViewSet,
    ResourcesViewSet,
)

app_name = "zones"

COLLECTION: dict[str, Any] = {"get": "list", "post": "create"}
ITEM: dict[str, Any] = {
    "get": "retrieve",
    "patch": "partial_update",
    "delete": "destroy",
}
ZONE = "zones/<str:zone_id>"

urlpatterns = [
    path("admin-tokens", AdminTokensViewSet.as_view(COLLECTION), name="admin-tokens"),
    path(
        "admin-tokens/<str:id>",
        AdminTokensViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
        name="admin-token",
    ),
    path("zones", ZonesViewSet.as_view(COLLECTION), name="zones"),
    path(ZONE, ZoneViewSet.as_view(ITEM), name="zone"),
    path(
        f"{ZONE}/dcr-status",
        ZoneViewSet.as_view({"get": "dcr_status"}),
        name="zone-dcr-status",
    ),
    path(
        f"{ZONE}/overview",
        ZoneViewSet.as_view({"get": "overview"}),
        name="zone-overview",
    ),
    path(
        f"{ZONE}/applications",
        ApplicationsViewSet.as_view(COLLECTION),
        name="applications",
    ),
    path(
        f"{ZONE}/applications/dcr",
        ApplicationsViewSet.as_view({"post": "register"}),
        name="application-register",
    ),
    path(
        f"{ZONE}/applications/<str:id>",
        ApplicationsViewSet.as_view(ITEM),
        name="application",
    ),
    path(
        f"{ZONE}/applications/<str:id>/rotate-secret",
        ApplicationsViewSet.as_view({"post": "rotate_secret"}),
        name="application-rotate-secret",
    ),
    path(
        f"{ZONE}/applications/<str:id>/used-by",
        ApplicationsViewSet.as_view({"get": "used_by"}),
        name="application-used-by",
    ),
    path(f"{ZONE}/providers", ProvidersViewSet.as_view(COLLECTION), name="providers"),
    path(f"{ZONE}/providers/<str:id>", ProvidersViewSet.as_view(ITEM), name="provider"),
    path(
        f"{ZONE}/providers/<str:id>/test",
        ProvidersViewSet.as_view({"post": "test"}),
        name="provider-test",
    ),
    path(
        f"{ZONE}/providers/<str:id>/used-by",
        ProvidersViewSet.as_view({"get": "used_by"}),
        name="provider-used-by",
    ),
    path(f"{ZONE}/resources", ResourcesViewSet.as_view(COLLECTION), name="resources"),
    path(f"{ZONE}/resources/<str:id>", ResourcesViewSet.as_view(ITEM), name="resource"),
    path(
        f"{ZONE}/resources/<str:id>/used-by",
        ResourcesViewSet.as_view({"get": "used_by"}),
        name="resource-used-by",
    ),
]
