"""Rows of a list read as they go out.

The ORM asks the question; its conversions of what comes back cost more than the rows.
Here times stay text and documents are parsed once, by the fastest parser.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg
from django.core.exceptions import EmptyResultSet
from django.db.models import QuerySet
from psycopg.adapt import Buffer, Loader
from psycopg.types.string import TextLoader

from caracal_site.statements import connection_for
from caracal_site.times import stored_to_wire

Row = dict[str, Any]
TIME = "timestamptz"


class _DocumentLoader(Loader):
    def load(self, data: Buffer) -> Any:
        return orjson.loads(data)


@dataclass(frozen=True, slots=True)
class Fetched:
    """Rows with their times as the database writes them, exact to the microsecond."""

    rows: list[Row]
    times: tuple[str, ...] = ()

    def wire_rows(self) -> Iterable[Row]:
        """The rows with their times as they go out."""
        for row in self.rows:
            for name in self.times:
                row[name] = row[name] and stored_to_wire(row[name])
        return self.rows


def fetch(rows: QuerySet[Any], *, prepared: bool) -> Fetched:
    """The rows of a ``values()`` query.

    A ``prepared`` statement is planned once for all parameters there may be: for
    questions that have but one good plan.
    """
    try:
        text, params = rows.query.sql_with_params()
    except EmptyResultSet:
        return Fetched([])
    mine = connection_for(text)
    kind: Any = psycopg.Cursor if prepared else psycopg.ClientCursor
    with mine.wrap_database_errors, kind(mine.connection) as cursor:
        cursor.adapters.register_loader(TIME, TextLoader)
        cursor.adapters.register_loader("jsonb", _DocumentLoader)
        cursor.execute(text.encode(), params, prepare=prepared)
        names, times = _columns(rows, cursor)
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return Fetched(found, times)


def _columns(
    rows: QuerySet[Any], cursor: psycopg.Cursor[Any]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the columns, and of those that are times."""
    names = tuple(rows.query.selected or ())
    oid = psycopg.adapters.types[TIME].oid
    types = zip(names, cursor.description or (), strict=True)
    return names, tuple(name for name, column in types if column.type_code == oid)
