"""Routes of policies, below /v1."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, path

from policies.api import connecting
from policies.api.grant_views import GrantsViewSet, ProviderGrantsViewSet
from policies.api.policy_views import PoliciesViewSet
from policies.api.set_views import (
    PolicySetsViewSet,
    ScenariosViewSet,
    SetVersionsViewSet,
)
from policies.api.views import TemplateViewSet, ValidationViewSet

app_name = "policies"

COLLECTION: dict[str, Any] = {"get": "list", "post": "create"}
ITEM: dict[str, Any] = {"get": "retrieve", "delete": "destroy"}
POLICIES = "zones/<str:zone_id>/policies"
SETS = "zones/<str:zone_id>/policy-sets"
GRANTS = "zones/<str:zone_id>/grants"
ACCOUNTS = "zones/<str:zone_id>/provider-grants"


def _set_action(name: str, method: str, action: str) -> URLPattern:
    view = PolicySetsViewSet.as_view({method: action})
    return path(f"{SETS}/<str:id>/{name}", view, name=f"policy-set-{name}")


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
    path(POLICIES, PoliciesViewSet.as_view(COLLECTION), name="policies"),
    path(f"{POLICIES}/<str:id>", PoliciesViewSet.as_view(ITEM), name="policy"),
    path(
        f"{POLICIES}/<str:id>/versions",
        PoliciesViewSet.as_view({"post": "add_version"}),
        name="policy-versions",
    ),
    path(
        f"{POLICIES}/<str:id>/used-by",
        PoliciesViewSet.as_view({"get": "used_by"}),
        name="policy-used-by",
    ),
    path(SETS, PolicySetsViewSet.as_view(COLLECTION), name="policy-sets"),
    path(f"{SETS}/<str:id>", PolicySetsViewSet.as_view(ITEM), name="policy-set"),
    path(
        f"{SETS}/<str:id>/versions",
        SetVersionsViewSet.as_view(COLLECTION),
        name="policy-set-versions",
    ),
    path(
        f"{SETS}/<str:id>/versions/<str:version_id>",
        SetVersionsViewSet.as_view({"get": "retrieve"}),
        name="policy-set-version",
    ),
    path(
        f"{SETS}/<str:id>/scenarios",
        ScenariosViewSet.as_view(COLLECTION),
        name="policy-set-scenarios",
    ),
    path(
        f"{SETS}/<str:id>/scenarios/<str:scenario_id>",
        ScenariosViewSet.as_view(ITEM),
        name="policy-set-scenario",
    ),
    _set_action("activate", "post", "activate"),
    _set_action("deactivate", "post", "deactivate"),
    _set_action("activation-status", "get", "activation_status"),
    _set_action("simulate", "post", "simulate"),
    _set_action("compare", "post", "compare"),
    _set_action("test", "post", "test"),
    path(GRANTS, GrantsViewSet.as_view(COLLECTION), name="grants"),
    path(f"{GRANTS}/<str:id>", GrantsViewSet.as_view(ITEM), name="grant"),
    path(ACCOUNTS, ProviderGrantsViewSet.as_view(COLLECTION), name="provider-grants"),
    path(
        f"{ACCOUNTS}/revoke",
        ProviderGrantsViewSet.as_view({"post": "revoke"}),
        name="provider-grant-revoke",
    ),
    path(
        f"{ACCOUNTS}/oauth/authorize",
        ProviderGrantsViewSet.as_view({"post": "authorize"}),
        name="provider-oauth-authorize",
    ),
    path(f"{ACCOUNTS}/oauth/start", connecting.start, name="provider-oauth-start"),
    path(
        f"{ACCOUNTS}/oauth/callback",
        connecting.CallbackViewSet.as_view({"get": "callback"}),
        name="provider-oauth-callback",
    ),
    path(
        f"{ACCOUNTS}/<str:id>",
        ProviderGrantsViewSet.as_view({"get": "retrieve"}),
        name="provider-grant",
    ),
]
