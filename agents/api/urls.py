"""Routes of agent services and invocations, below /v1."""

from __future__ import annotations

from django.urls import path

from agents.api.views import AgentSessionsViewSet, InvocationsViewSet, ServicesViewSet

app_name = "agents"
urlpatterns = [
    path(
        "zones/<str:zone_id>/agent-sessions",
        AgentSessionsViewSet.as_view({"get": "list"}),
        name="agent-sessions",
    ),
    path(
        "zones/<str:zone_id>/agent-services",
        ServicesViewSet.as_view({"get": "list"}),
        name="agent-services",
    ),
    path(
        "zones/<str:zone_id>/invocations",
        InvocationsViewSet.as_view({"get": "list"}),
        name="invocations",
    ),
]
