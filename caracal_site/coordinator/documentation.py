"""The coordinator's OpenAPI document and the pages that show it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from mimetypes import guess_type
from pathlib import Path

from csp.utils import build_policy
from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import HttpResponse
from django.templatetags.static import static

from caracal_site import documentation, openapi
from caracal_site.coordinator.answers import answer
from caracal_site.coordinator.openapi import document
from caracal_site.coordinator.routes import Access, Call, Route

View = Callable[[Call], Awaitable[HttpResponse]]
TITLE = "Caracal Coordinator API"
# This deployment serves these files and no others.
FILES = (
    "documentation/pages.css",
    "documentation/redoc.js",
    "documentation/swagger.js",
    "drf_spectacular_sidecar/redoc/bundles/redoc.standalone.js",
    "drf_spectacular_sidecar/swagger-ui-dist/favicon-32x32.png",
    "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js",
    "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css",
)
FILE_HEADERS = {"Cache-Control": "public, max-age=3600"}


async def schema(_call: Call) -> HttpResponse:
    return answer(_schema())


async def swagger(_call: Call) -> HttpResponse:
    return _page(documentation.swagger_page(TITLE))


async def redoc(_call: Call) -> HttpResponse:
    return _page(documentation.redoc_page(TITLE), documentation.REDOC_POLICY)


async def catalogue(_call: Call) -> HttpResponse:
    return _page(documentation.errors_page())


async def file(call: Call) -> HttpResponse:
    content, content_type = _file(
        call.request.path_info.removeprefix(settings.STATIC_URL)
    )
    return HttpResponse(content, content_type=content_type, headers=FILE_HEADERS)


@cache
def _schema() -> str:
    return openapi.pretty(document())


@cache
def _file(name: str) -> tuple[bytes, str]:
    found = finders.find(name)
    if found is None:
        raise FileNotFoundError(name)
    return Path(found).read_bytes(), guess_type(name)[0] or "application/octet-stream"


def _page(html: str, relaxed: dict[str, list[str]] | None = None) -> HttpResponse:
    headers = {
        "Content-Security-Policy": build_policy(update=relaxed),
        "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
        "X-Frame-Options": settings.X_FRAME_OPTIONS,
    }
    return HttpResponse(html, content_type=documentation.PAGE, headers=headers)


def _public(path: str, name: str, view: View, summary: str) -> Route:
    return Route(
        "GET", path, name, view, summary, access=Access.PUBLIC, extra={"hidden": True}
    )


routes = [_public("/errors", "errors", catalogue, "Every error code.")]
if settings.API_ENABLE_DOCS:
    routes += [
        _public("/openapi.json", "openapi", schema, "This API as OpenAPI 3.1."),
        _public("/docs", "docs", swagger, "The API reference, to try out."),
        _public("/redoc", "redoc", redoc, "The API reference, to read."),
    ]
routes += [
    _public(static(name), f"file:{name}", file, "A static file.") for name in FILES
]
