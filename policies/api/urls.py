"""Routes of policies, below /v1."""

from __future__ import annotations

from django.urls import URLPattern, path

from policies.api.views import TemplateViewSet, ValidationViewSet

app_name = "policies"
urlpatterns: list[URLPattern] = [
    path(
        "policies/validate",
        ValidationViewSet.as_view({"post": "validate"}),
        name="policy-validate",
    ),
    path(
        "policy-templates",
        TemplateViewSet.as_view({"get": "list"}),
        name="template-list",
    ),
]
