"""Lists of the Management API: a bare array, and a ``Link`` to the next page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import django_filters
from django.db.models import QuerySet
from django.http import QueryDict
from rest_framework.response import Response

from caracal_site import cursors
from caracal_site.errors import InvalidQuery

DEFAULT_LIMIT = 200
MAX_LIMIT = 500
PAGING = frozenset({"limit", "cursor"})


def plain_query(query: QueryDict, known: frozenset[str]) -> dict[str, str]:
    """The query as single values. Raises InvalidQuery for an unknown, repeated or
    empty parameter, so that a mistyped filter never shows everything."""
    plain: dict[str, str] = {}
    for name, values in query.lists():
        if name not in known:
            raise InvalidQuery(f"Unknown query parameter {name!r}.")
        if len(values) != 1 or not values[0] or "\0" in values[0]:
            raise InvalidQuery(f"Query parameter {name!r} needs exactly one value.")
        plain[name] = values[0]
    return plain


def page_limit(text: str | None, *, default: int, maximum: int) -> int:
    """The page size asked for. Raises InvalidQuery outside 1 to ``maximum``."""
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= maximum):
        raise InvalidQuery(f"limit must be a whole number from 1 to {maximum}.")
    return int(text)


def filtered(
    filterset: type[django_filters.FilterSet],
    values: Mapping[str, str],
    queryset: QuerySet[Any],
) -> QuerySet[Any]:
    """``queryset`` under the filters given. Raises InvalidQuery for a bad value."""
    bound = filterset(dict(values), queryset=queryset)
    if not bound.is_valid():
        name, faults = next(iter(bound.errors.items()))
        raise InvalidQuery(f"Query parameter {name!r}: {faults[0]}")
    found: QuerySet[Any] = bound.qs
    return found


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list, the limit and filters asked for, and the cursor that leads
    on; None on the last page."""

    rows: list[Any]
    limit: int
    filters: dict[str, str]
    cursor: str | None


def read_page(
    queryset: QuerySet[Any],
    *,
    path: str,
    query: QueryDict,
    filterset: type[django_filters.FilterSet] | None = None,
    time_field: str | None = "created_at",
    default: int = DEFAULT_LIMIT,
    maximum: int = MAX_LIMIT,
) -> Page:
    """One page, newest first: by ``time_field`` and id, or by id alone, which is
    creation order too, for tables too busy for an index of their own.

    One row more than asked for is read, so there is a cursor only when there is more.
    """
    names = frozenset(filterset.base_filters) if filterset else frozenset()
    values = plain_query(query, PAGING | names)
    limit = page_limit(values.get("limit"), default=default, maximum=maximum)
    filters = {name: value for name, value in values.items() if name not in PAGING}
    bound_to = cursors.fingerprint(path, filters)
    if filterset:
        queryset = filtered(filterset, filters, queryset)
    order = ("-id",) if time_field is None else (f"-{time_field}", "-id")
    if "cursor" in values:
        timed = time_field is not None
        last = cursors.decode(values["cursor"], bound_to, timed=timed)
        queryset = _after(queryset, time_field, last)
    rows = list(queryset.order_by(*order)[: limit + 1])
    if len(rows) <= limit:
        return Page(rows, limit, filters, None)
    rows.pop()
    cursor = cursors.encode(_position(rows[-1], time_field), bound_to)
    return Page(rows, limit, filters, cursor)


def _after(
    queryset: QuerySet[Any], time_field: str | None, last: cursors.Position
) -> QuerySet[Any]:
    if time_field is None:
        return queryset.filter(id__lt=last.id)
    table = queryset.model._meta.db_table
    return queryset.extra(  # noqa: S610 - parameters are bound, the rest is ours
        where=[f"({table}.{time_field}, {table}.id) < (%s, %s)"],
        params=[last.at, last.id],
    )


def _position(row: Any, time_field: str | None) -> cursors.Position:
    members = row if isinstance(row, dict) else vars(row)
    at = None if time_field is None else members[time_field]
    return cursors.Position(members["id"], at)


def page_of(
    queryset: QuerySet[Any],
    *,
    path: str,
    query: QueryDict,
    filterset: type[django_filters.FilterSet] | None = None,
    time_field: str | None = "created_at",
) -> tuple[list[Any], dict[str, str]]:
    """One page and the headers that lead to the next."""
    page = read_page(
        queryset, path=path, query=query, filterset=filterset, time_field=time_field
    )
    if page.cursor is None:
        return page.rows, {}
    following = urlencode({**page.filters, "limit": page.limit, "cursor": page.cursor})
    return page.rows, {"Link": f'<{path}?{following}>; rel="next"'}


def page_response(rows: list[Any], headers: dict[str, str]) -> Response:
    return Response(rows, headers=headers)
