"""Lists whose query the ORM compiles once and whose page PostgreSQL writes as JSON.

Building and compiling a query, and carrying its values over one by one, cost a request
more than the database needs to answer it. Where that counts, the query is given as a
function of its arguments: it is built with marks instead of values, so that nothing
but the arguments can differ from one run to the next, and is a prepared statement from
then on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import orjson
from django.core.exceptions import FieldDoesNotExist
from django.db.models import DateTimeField, QuerySet

from caracal_site import statements
from caracal_site.times import WIRE_SQL

# One row more than asked for is read, so that it is known whether there is more.
PAGE = """
SELECT
    '[' || coalesce(
        string_agg(document, ',' ORDER BY place) FILTER (WHERE place <= %(limit)s), ''
    ) || ']',
    count(*) > %(limit)s,
    max(id) FILTER (WHERE place = %(limit)s),
    (max({time}) FILTER (WHERE place = %(limit)s))::text
FROM (
    SELECT
        row_to_json(shown)::text AS document, t.id, t.{time},
        row_number() OVER (ORDER BY t.{time} DESC, t.id DESC) AS place
    FROM ({inner} LIMIT %(limit)s + 1) AS t ({names}),
        LATERAL (SELECT {shown}) AS shown
) AS numbered
"""


class NotAnArgument(ValueError):
    """The query compares something with a value it was not given as an argument, or
    leaves an argument out."""


@dataclass(frozen=True, slots=True)
class PreparedPage:
    """A page as a JSON array, and id and time of its last row when there is more."""

    rows: orjson.Fragment
    last: tuple[str, datetime] | None


class PreparedList:
    """``columns`` of the rows of a query, newest first by ``time`` and id.

    ``build`` gets the ``arguments`` by name and must use every one as text that is
    compared with a column as it is, and no other value.
    """

    def __init__(
        self,
        build: Callable[..., QuerySet[Any]],
        *,
        columns: Sequence[str],
        arguments: Sequence[str],
        time: str = "created_at",
    ) -> None:
        self._build = build
        self._columns = tuple(columns)
        self._arguments = tuple(arguments)
        self._time = time

    def first_page(self, *, limit: int, **values: str) -> PreparedPage:
        """The newest ``limit`` rows."""
        asked = {**values, "limit": limit}
        text, is_more, last_id, at = statements.fetch_text(self._statement, asked)
        last = (last_id, datetime.fromisoformat(at)) if is_more else None
        return PreparedPage(orjson.Fragment(text), last)

    @cached_property
    def _statement(self) -> str:
        marks = {name: f"\0{name}\0" for name in self._arguments}
        queryset = self._build(**marks).order_by(f"-{self._time}", "-id")
        sql, params = queryset.values(*self._columns).query.sql_with_params()
        named = {mark: f"%({name})s" for name, mark in marks.items()}
        if set(params) != set(named):
            raise NotAnArgument(sql)
        return PAGE.format(
            inner=sql % tuple(named[param] for param in params),
            names=", ".join(self._columns),
            shown=", ".join(_shown(queryset, name) for name in self._columns),
            time=self._time,
        )


def _shown(queryset: QuerySet[Any], name: str) -> str:
    try:
        field: Any = queryset.model._meta.get_field(name)
    except FieldDoesNotExist:  # an annotation
        field = None
    is_time = isinstance(field, DateTimeField)
    return f"{WIRE_SQL.format(f't.{name}')} AS {name}" if is_time else f"t.{name}"
