"""Routes of policies, below /v1."""

from __future__ import annotations

from django.urls import URLPattern, path

from policies.api.views import TemplateViewSet

app_name = "policies"
urlpatterns: list[URLPattern] = [
    path(
        "policy-templates",
        TemplateViewSet.as_view({"get": "list"}),
        name="template-list",
    ),
]
