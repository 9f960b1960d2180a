"""Routes of delegations, below /v1."""

from __future__ import annotations

from django.urls import path

from delegations.api.views import DelegationsViewSet

app_name = "delegations"
urlpatterns = [
    path(
        "zones/<str:zone_id>/delegations",
        DelegationsViewSet.as_view({"get": "list"}),
        name="delegations",
    ),
    path(
        "zones/<str:zone_id>/delegations/<str:id>",
        DelegationsViewSet.as_view({"get": "retrieve"}),
        name="delegation",
    ),
]
