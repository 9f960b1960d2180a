"""The short way of the Management API through the deployment."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, ResolverMatch, get_resolver

from caracal_site import metrics
from caracal_site.api.views import ApiViewSet

# What the middleware of the long way would say about an answer that is no page.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
View = Callable[[HttpRequest], HttpResponse]


def management_api(get_response: View) -> View:
    """Takes calls of the Management API past what only people's browsers need:
    sessions, CSRF tokens, messages, static files and a policy for pages.

    Decided on the resolved route, and nothing is let in by it: whichever way a call
    comes, its view authenticates it. Who brings no bearer token goes the long way,
    where a person's session may be found.
    """
    resolver = get_resolver(settings.ROOT_URLCONF)

    def middleware(request: HttpRequest) -> HttpResponse:
        started = metrics.clock()
        try:
            match = resolver.resolve(request.path_info)
        except Resolver404:
            return get_response(request)
        view = getattr(match.func, "cls", None)
        if view is None or not issubclass(view, ApiViewSet):
            return get_response(request)
        if "HTTP_AUTHORIZATION" in request.META:
            response = _answer(request, match)
        else:
            response = get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        if not response.get("Content-Type", "").startswith("text/html"):
            _protect(request, response)
        metrics.observe_api(
            match.view_name, request.method or "", response.status_code, started
        )
        return response

    return middleware


def _answer(request: HttpRequest, match: ResolverMatch) -> HttpResponse:
    request.get_host()  # refuses names that are not served here
    request.resolver_match = match
    response: HttpResponse = match.func(request, *match.args, **match.kwargs)
    if hasattr(response, "render"):
        response = response.render()
    if not response.streaming:
        response["Content-Length"] = str(len(response.content))
    return response


def _protect(request: HttpRequest, response: HttpResponse) -> None:
    for name, value in HEADERS.items():
        response.headers[name] = value
    if settings.SECURE_HSTS_SECONDS and request.is_secure():
        response["Strict-Transport-Security"] = (
            f"max-age={settings.SECURE_HSTS_SECONDS}"
        )
