"""Routes of evidence, below /v1."""

from __future__ import annotations

from django.urls import path

from audit.api.ledger_views import LedgerViewSet
from audit.api.retention_views import (
    AuditRetentionViewSet,
    ZoneAuditRetentionViewSet,
)
from audit.api.views import (
    AdminAuditViewSet,
    AuditEventsViewSet,
    DecidedRequestViewSet,
    PlatformAuditViewSet,
)

app_name = "audit"
urlpatterns = [
    path(
        "audit-retention",
        AuditRetentionViewSet.as_view({"get": "retrieve", "put": "replace"}),
        name="audit-retention",
    ),
    path(
        "admin-audit",
        PlatformAuditViewSet.as_view({"get": "list"}),
        name="platform-audit",
    ),
    path(
        "zones/<str:zone_id>/audit-retention",
        ZoneAuditRetentionViewSet.as_view({"get": "retrieve", "put": "replace"}),
        name="zone-audit-retention",
    ),
    path(
        "zones/<str:zone_id>/audit",
        AuditEventsViewSet.as_view({"get": "list"}),
        name="audit-events",
    ),
    path(
        "zones/<str:zone_id>/audit/by-request/<str:request_id>",
        DecidedRequestViewSet.as_view({"get": "retrieve"}),
        name="decided-request",
    ),
    path(
        "zones/<str:zone_id>/audit/by-request/<str:request_id>/explain",
        DecidedRequestViewSet.as_view({"get": "explain"}),
        name="explained-request",
    ),
    path(
        "zones/<str:zone_id>/audit/chain",
        LedgerViewSet.as_view({"get": "retrieve"}),
        name="ledger",
    ),
    path(
        "zones/<str:zone_id>/audit/chain/inclusion",
        LedgerViewSet.as_view({"get": "inclusion"}),
        name="ledger-inclusion",
    ),
    path(
        "zones/<str:zone_id>/audit/chain/consistency",
        LedgerViewSet.as_view({"get": "consistency"}),
        name="ledger-consistency",
    ),
    path(
        "zones/<str:zone_id>/admin-audit",
        AdminAuditViewSet.as_view({"get": "list"}),
        name="admin-audit",
    ),
]
