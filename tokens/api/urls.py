"""Routes of authority sessions, below /v1."""

from __future__ import annotations

from django.urls import path

from tokens.api.views import SessionsViewSet

app_name = "tokens"
urlpatterns = [
    path(
        "zones/<str:zone_id>/sessions",
        SessionsViewSet.as_view({"get": "list"}),
        name="sessions",
    ),
]
