"""The Management API as pages for people (DRF's browsable API).

A page shows the answer as a program gets it, leads on to what is below it, and has
forms to ask again: filters of a list, bodies of changes, a preview before an end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import orjson
from django.apps import apps
from django.conf import settings
from django.http import QueryDict
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from caracal_site.actors import Actor
from caracal_site.api.exports import FORMATS
from caracal_site.api.fields import FlagField, StrictSerializer, WholeField
from caracal_site.api.negotiation import HTML
from caracal_site.api.renderers import dumps
from caracal_site.documentation import PAGE
from caracal_site.errors import CaracalError

ROW_ID = re.compile(r"(&quot;id&quot;: &quot;)([A-Za-z0-9_.:-]+)(&quot;)")
NEXT = re.compile(r"<([^>]+)>; rel=\"next\"")
UNKNOWN = "unknown"


class PageRenderer(BrowsableAPIRenderer):
    """An answer as a page. Its entity tag is the JSON's, not the page's, so it is
    shown and not sent."""

    media_type = HTML

    def render(
        self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None
    ) -> Any:
        _settle(renderer_context["request"])
        page = super().render(data, accepted_media_type, renderer_context)
        response = renderer_context["response"]
        response["Content-Type"] = PAGE
        del response["ETag"]
        return page

    def get_context(
        self, data: Any, accepted_media_type: Any, renderer_context: Any
    ) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(
            data, accepted_media_type, renderer_context
        )
        view, request = renderer_context["view"], renderer_context["request"]
        is_known = isinstance(request.auth, Actor)
        listing = getattr(_action(view), "listing", None) if is_known else None
        context |= {
            "code_style": None,
            "available_formats": ["json", *(FORMATS if listing else ())],
            "below": list(_below(request)),
            "next": _next(request, data, renderer_context["response"]),
            "questions": list(_questions(listing, request)) if listing else [],
            "dry_run": bool(context["delete_form"]) and bool(view.previews),
            "login_url": settings.LOGIN_URL,
            "summary": getattr(_action(view), "summary", ""),
        }
        return context

    def get_content(
        self, renderer: Any, data: Any, accepted_media_type: Any, renderer_context: Any
    ) -> str:
        if data is None:
            return ""
        laid_out = orjson.dumps(orjson.loads(dumps(data)), option=orjson.OPT_INDENT_2)
        return _linked(laid_out.decode(), renderer_context["request"])

    def show_form_for_method(
        self, view: Any, method: str, request: Request, obj: Any
    ) -> bool:
        """Only what the person may do; asking it counts as no request."""
        if method not in view.allowed_methods or not isinstance(request.auth, Actor):
            return False
        try:
            return all(
                permission.has_permission(request, view)
                for permission in view.get_permissions()
            )
        except CaracalError:
            return False

    def get_raw_data_form(
        self, data: Any, view: Any, method: str, request: Request
    ) -> Any:
        form_class = super().get_raw_data_form(data, view, method, request)
        name = view.action_map.get(method.lower()) if form_class else None
        body = getattr(getattr(view, name or "", None), "body", None)
        if form_class is None or body is None:
            return form_class
        content = form_class.fields["_content"]
        current = data if method == "PATCH" and isinstance(data, dict) else None
        shown = _example(body(), current)
        content.initial = orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode()
        others = [member for member in body().fields if member not in shown]
        if others:
            content.help_text = f"May also have: {', '.join(others)}."
        return form_class

    def get_name(self, view: Any) -> str:
        """What the page is about: one of the model, or a list of them."""
        if not view.model:
            return str(view.get_view_name())
        meta = apps.get_model(view.model)._meta
        is_list = getattr(_action(view), "listing", None) is not None
        named = str(meta.verbose_name_plural if is_list else meta.verbose_name)
        return named[:1].upper() + named[1:]

    def get_breadcrumbs(self, request: Request) -> list[tuple[str, str]]:
        """The routes above this one, by the words of their paths."""
        words = request.path.strip("/").split("/")
        paths = ["/" + "/".join(words[:end]) for end in range(2, len(words) + 1)]
        return [(path.rsplit("/", 1)[1], path) for path in paths if _is_route(path)]


def _settle(request: Any) -> None:
    """Has a request whose caller was refused show who asked, without asking again."""
    if not hasattr(request, "_user"):
        request._user, request._auth = request._request.user, None


def _action(view: Any) -> Any:
    return getattr(view, view.action or "", None)


def _example(body: StrictSerializer, current: dict[str, Any] | None) -> dict[str, Any]:
    """A body to begin with: what the item has now, else what is required."""
    fields: dict[str, Any] = dict(body.fields)
    if current is not None:
        return {name: current[name] for name in fields if name in current}
    return {name: _blank(field) for name, field in fields.items() if field.required}


def _blank(field: Any) -> Any:
    match field:
        case FlagField():
            return False
        case WholeField():
            return field.minimum
    if getattr(field, "choices", None):
        return next(iter(field.choices))
    return [] if hasattr(field, "child") else ""


def _linked(text: str, request: Request) -> SafeString:
    """JSON as HTML, in which the ids of a list's rows lead to them."""
    shown = str(escape(text))
    if _is_route(f"{request.path}/x"):
        link = rf'\1<a href="{escape(request.path)}/\2">\2</a>\3'
        shown = ROW_ID.sub(link, shown)
    return mark_safe(shown)  # noqa: S308 - escaped above


def _is_route(path: str) -> bool:
    try:
        name = resolve(path).url_name or ""
    except Resolver404:
        return False
    return not name.startswith(UNKNOWN)


@cache
def _templates() -> tuple[str, ...]:
    """The path templates of every route below /v1."""
    return tuple(_leaves(get_resolver(settings.ROOT_URLCONF).url_patterns, ""))


def _leaves(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _leaves(pattern.url_patterns, f"{prefix}{pattern.pattern}")
        elif not (pattern.name or "").startswith(UNKNOWN):
            yield f"{prefix}{pattern.pattern}"


def _below(request: Request) -> Iterator[tuple[str, str]]:
    """(name, address) of the routes one word below the request's."""
    match = request._request.resolver_match
    above = f"{match.route}/" if match else ""
    for template in _templates() if above.startswith("v1/") else ():
        word = template.removeprefix(above)
        if template.startswith(above) and word and not set("/<") & set(word):
            yield word, f"{request.path}/{word}"


def _next(request: Request, data: Any, response: Response) -> str | None:
    """Where the list goes on."""
    linked = NEXT.match(response.get("Link", ""))
    if linked:
        return linked[1]
    cursor = data.get("next_cursor") if isinstance(data, dict) else None
    if not cursor:
        return None
    query: QueryDict = request._request.GET.copy()
    query["cursor"] = cursor
    return f"{request.path}?{query.urlencode()}"


def _questions(listing: Any, request: Request) -> Iterator[dict[str, Any]]:
    """The filters of a list as fields of a form: order and size first."""
    given = request._request.GET
    yield {
        "name": "ordering",
        "label": "The order.",
        "choices": listing.orderings,
        "value": given.get("ordering", ""),
    }
    yield {"name": "limit", "label": "Rows a page.", "value": given.get("limit", "")}
    for name, declared in listing.filterset.base_filters.items():
        yield {
            "name": name,
            "label": declared.label,
            "choices": [value for value, _ in declared.extra.get("choices", ())],
            "value": given.get(name, ""),
        }
