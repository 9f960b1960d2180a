"""Routes of the coordinator deployment, assembled from the apps' declarations."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from django.urls import URLPattern, path

from agents.coordinator import routes as agents
from agents.flat_calls import routes as agent_calls
from agents.invocations.coordinator import routes as invocations
from agents.registry.coordinator import routes as registry
from audit.coordinator import routes as events
from caracal_site.coordinator import documentation, operations
from caracal_site.coordinator.endpoint import views_of
from caracal_site.coordinator.routes import Route
from delegations.coordinator import routes as delegations
from delegations.flat_calls import routes as delegation_calls
from tokens.coordinator import routes as tokens
from tokens.oauth_calls import routes as oauth
from tokens.step_up_calls import routes as step_up

ROUTES: list[Route] = list(
    chain(
        operations.routes,
        documentation.routes,
        agents,
        agent_calls,
        registry,
        invocations,
        delegations,
        delegation_calls,
        tokens,
        events,
        oauth,
        step_up,
    )
)


def patterns_of(routes: Iterable[Route]) -> list[URLPattern]:
    """One pattern a path, fixed segments before parameters."""
    by_path: dict[str, dict[str, Route]] = {}
    for route in routes:
        by_path.setdefault(route.pattern, {})[route.method] = route
    ordered = sorted(by_path.items(), key=lambda item: (item[0].count("<"), item[0]))
    return [path(pattern, views_of(methods)) for pattern, methods in ordered]


urlpatterns = patterns_of(ROUTES)
