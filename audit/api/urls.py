"""Routes of evidence, below /v1."""

from __future__ import annotations

from django.urls import path

from audit.api.views import AdminAuditViewSet, AuditEventsViewSet

app_name = "audit"
urlpatterns = [
    path(
        "zones/<str:zone_id>/audit",
        AuditEventsViewSet.as_view({"get": "list"}),
        name="audit-events",
    ),
    path(
        "zones/<str:zone_id>/admin-audit",
        AdminAuditViewSet.as_view({"get": "list"}),
        name="admin-audit",
    ),
]
