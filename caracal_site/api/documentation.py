"""The Management API's OpenAPI document and the pages that show it."""

from __future__ import annotations

from functools import cache
from typing import Any

from csp.decorators import csp_update
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from drf_spectacular.renderers import OpenApiYamlRenderer

from caracal_site import documentation, errors, openapi
from caracal_site.api.fallbacks import is_page_wanted, reads, refused
from caracal_site.api.openapi import document

TITLE = "Caracal Management API"
SCHEMA_TYPE = "application/json; charset=utf-8"
YAML_TYPE = "application/yaml; charset=utf-8"


@reads
def index(request: HttpRequest) -> HttpResponse:
    """Leads a person who opens the server's address on; no route for programs."""
    if not is_page_wanted(request):
        return refused(request, errors.RouteNotFound())
    facts = {
        "is_documented": settings.API_ENABLE_DOCS,
        "coordinator_url": settings.COORDINATOR_URL,
    }
    return _page(render_to_string("documentation/index.html", facts))


@reads
def catalogue(_request: HttpRequest) -> HttpResponse:
    return _page(documentation.errors_page())


@reads
def swagger(_request: HttpRequest) -> HttpResponse:
    return _page(documentation.swagger_page(TITLE))


@reads
@csp_update(documentation.REDOC_POLICY)
def redoc(_request: HttpRequest) -> HttpResponse:
    return _page(documentation.redoc_page(TITLE))


@reads
def schema_as_json(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(_json(), content_type=SCHEMA_TYPE)


@reads
def schema_as_yaml(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(_yaml(), content_type=YAML_TYPE)


@cache
def _schema() -> dict[str, Any]:
    return document()


@cache
def _json() -> str:
    return openapi.pretty(_schema())


@cache
def _yaml() -> bytes:
    rendered: bytes = OpenApiYamlRenderer().render(_schema())
    return rendered


def _page(html: str) -> HttpResponse:
    return HttpResponse(html, content_type=documentation.PAGE)


urlpatterns: list[URLPattern] = [
    path("", index, name="index"),
    path("errors", catalogue, name="errors"),
]
if settings.API_ENABLE_DOCS:
    urlpatterns += [
        path("openapi.json", schema_as_json, name="openapi"),
        path("docs", swagger, name="docs"),
        path("docs/json", schema_as_json, name="docs-json"),
        path("docs/yaml", schema_as_yaml, name="docs-yaml"),
        path("redoc", redoc, name="redoc"),
    ]
