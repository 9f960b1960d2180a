"""Routes of the API deployment: Management API, console, documentation, operations."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from caracal_site.api import documentation, operations
from caracal_site.api.urls import unknown_routes

handler400 = "caracal_site.api.fallbacks.bad_request"
handler403 = "caracal_site.api.fallbacks.forbidden"
handler404 = "caracal_site.api.fallbacks.not_found"
handler500 = "caracal_site.api.fallbacks.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("health", operations.health, name="health"),
    path("ready", operations.ready, name="ready"),
    path("metrics", operations.metrics, name="metrics"),
    path("v1/", include("zones.api.urls")),
    path("v1/", include("tokens.api.urls")),
    path("v1/", include("agents.api.urls")),
    path("v1/", include("delegations.api.urls")),
    path("v1/", include("policies.api.urls")),
    path("v1/", include("audit.api.urls")),
    path("admin/", admin.site.urls),
    *documentation.urlpatterns,
    *unknown_routes,
]
