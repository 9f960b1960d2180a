"""Lists of the Management API: what one is, what is asked of it, and its pages.

A list is read by its order and the position of the row before: an index range, exact
under inserts, however deep. Pages and exports read it in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import django_filters
from django.db import connection
from django.db.models import QuerySet
from django.http import QueryDict

from caracal_site import cursors
from caracal_site.api.filters import ArchivedFilter
from caracal_site.api.reading import Fetched, Row, fetch
from caracal_site.errors import InvalidFields, InvalidQuery

DEFAULT_LIMIT = 200
MAX_LIMIT = 500
PAGING = frozenset({"limit", "cursor"})
ORDERING = "ordering"
FORMAT = "format"
FIELDS = "fields"
ARCHIVED = "archived"


# What a derived member is in a row that has none: it is left out.
ABSENT: Any = object()


def as_it_is(row: Row) -> Row:
    return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a list of the API is.

    ``columns`` are read, ``shape`` makes of a row what goes out, and ``shown`` names
    its members where they are others. ``joined`` are parameters that may be repeated,
    which is the same as dividing their values by commas. ``derived`` are members that a
    row has when they are asked for by name, or ABSENT; ``tabular`` names what a CSV
    file has when nothing is asked for, where that is something else. ``orders`` are the
    words it can be ordered by and their columns, which are never null; it is ordered by
    the first, descending, unless asked otherwise, and by id among equals. The column
    ``id`` is for creation in tables too busy for an index on the time. ``envelope``
    puts a page and the cursor behind it into a body; without it a page is a bare array,
    with a ``Link`` to the next. ``written`` (a ``copying.SqlTable``) says how the
    database writes rows as a table itself.
    """

    name: str
    columns: tuple[str, ...]
    orders: Mapping[str, str]
    filterset: type[django_filters.FilterSet]
    shown: tuple[str, ...] = ()
    joined: frozenset[str] = frozenset()
    shape: Callable[[Row], Row] = as_it_is
    derived: Mapping[str, Callable[[Row], Any]] = field(default_factory=dict)
    tabular: tuple[str, ...] = ()
    envelope: Callable[[list[Row], str | None], Any] | None = None
    written: Any = None
    default_limit: int = DEFAULT_LIMIT
    max_limit: int = MAX_LIMIT

    @property
    def members(self) -> tuple[str, ...]:
        """The members of a row as it goes out."""
        return self.shown or self.columns

    @property
    def choices(self) -> tuple[str, ...]:
        """What ``fields`` may name."""
        return (*self.members, *self.derived)

    @property
    def orderings(self) -> tuple[str, ...]:
        """What ``ordering`` may be, the default first."""
        words = tuple(self.orders)
        return (*(f"-{word}" for word in words), *words)

    @property
    def filters(self) -> frozenset[str]:
        return frozenset(self.filterset.base_filters)


@dataclass(frozen=True, slots=True)
class Order:
    """A column and the direction; rows that are equal there follow their ids."""

    column: str
    descending: bool

    def of(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        sign = "-" if self.descending else ""
        unique = self.column == "id"
        return rows.order_by(
            *(() if unique else (f"{sign}{self.column}",)), f"{sign}id"
        )

    def after(self, rows: QuerySet[Any], last: cursors.Position) -> QuerySet[Any]:
        """The rows behind a position."""
        return self._beside(rows, last, "<" if self.descending else ">")

    def until(self, rows: QuerySet[Any], last: cursors.Position) -> QuerySet[Any]:
        """The rows up to a position, and the one there."""
        return self._beside(rows, last, ">=" if self.descending else "<=")

    def _beside(
        self, rows: QuerySet[Any], last: cursors.Position, comparison: str
    ) -> QuerySet[Any]:
        if self.column == "id":
            lookups = {"<": "lt", ">": "gt", "<=": "lte", ">=": "gte"}
            return rows.filter(**{f"id__{lookups[comparison]}": last.id})
        meta, quote = rows.model._meta, connection.ops.quote_name
        table = quote(meta.db_table)
        column = quote(str(meta.get_field(self.column).column))
        return rows.extra(  # noqa: S610 - parameters are bound, the rest is ours
            where=[f"({table}.{column}, {table}.id) {comparison} (%s, %s)"],
            params=[last.at or last.text, last.id],
        )

    def position(self, fetched: Fetched) -> cursors.Position:
        """Where the last of the rows stands."""
        last = fetched.rows[-1]
        if self.column == "id":
            return cursors.Position(last["id"])
        value = last[self.column]
        if self.column in fetched.times:
            return cursors.Position(last["id"], at=datetime.fromisoformat(value))
        return cursors.Position(last["id"], text=str(value))

    def is_timed(self, rows: QuerySet[Any]) -> bool:
        field: Any = rows.model._meta.get_field(self.column)
        return bool(field.get_internal_type() == "DateTimeField")


@dataclass(frozen=True, slots=True)
class Question:
    """What a request asks of a list."""

    listing: Listing
    path: str
    filters: Mapping[str, str]
    order: Order
    ordering: str | None
    limit: int | None
    cursor: str | None
    fields: tuple[str, ...] = ()

    def fetch(self, rows: QuerySet[Any]) -> Fetched:
        """Reads ``rows``. Without a filter the index of the order is the one way."""
        return fetch(rows, prepared=not self.filters)

    def rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """``rows`` as asked for: filtered, in order, the columns as dictionaries."""
        found = filtered(self.listing.filterset, self.filters, rows)
        columns = (*self.listing.columns, *self._told_archived, self.order.column, "id")
        return self.order.of(found.values(*dict.fromkeys(columns)))

    def shape(self, row: Row) -> Row:
        """What goes out of a row that was read, its times as they go out."""
        if self.order.column not in self.listing.columns:
            row = {key: row[key] for key in row if key != self.order.column}
        shaped = self.listing.shape(row)
        if not self.fields:
            return shaped
        derived = self.listing.derived
        chosen = {
            name: derived[name](shaped) if name in derived else shaped[name]
            for name in self.fields
        }
        return {name: value for name, value in chosen.items() if value is not ABSENT}

    @property
    def members(self) -> tuple[str, ...]:
        return self.fields or (*self.listing.members, *self._told_archived)

    @property
    def in_a_table(self) -> Question:
        """The same question for rows of a table."""
        if self.fields or not self.listing.tabular:
            return self
        return replace(self, fields=self.listing.tabular)

    @property
    def _told_archived(self) -> tuple[str, ...]:
        is_told = self.filters.get(ARCHIVED, "false") != "false"
        return ("archived_at",) if is_told else ()

    @property
    def asked(self) -> dict[str, str]:
        """Filters and order as the query has them."""
        asked = dict(self.filters)
        if self.ordering:
            asked[ORDERING] = self.ordering
        if self.fields:
            asked[FIELDS] = ",".join(self.fields)
        return asked

    @property
    def bound_to(self) -> str:
        """What a cursor is good for: the same rows in the same order, whatever is shown
        of them."""
        alike = {key: self.asked[key] for key in self.asked if key != FIELDS}
        return cursors.fingerprint(self.path, alike)


def question(listing: Listing, *, path: str, query: QueryDict) -> Question:
    """What a query asks. Raises InvalidQuery for an unknown, repeated or empty
    parameter, so that a mistyped filter never shows everything."""
    known = PAGING | {ORDERING, FORMAT, FIELDS} | listing.filters
    values = plain_query(query, known, joined=listing.joined)
    default = listing.orderings[0]
    ordering = values.get(ORDERING, default)
    if ordering not in listing.orderings:
        raise InvalidQuery(f"ordering must be one of {', '.join(listing.orderings)}.")
    descending = ordering.startswith("-")
    column = listing.orders[ordering.removeprefix("-")]
    limit = values.get("limit")
    return Question(
        listing,
        path,
        {name: value for name, value in values.items() if name in listing.filters},
        Order(column, descending),
        None if ordering == default else ordering,
        None if limit is None else page_limit(limit, maximum=listing.max_limit),
        values.get("cursor"),
        chosen_fields(listing, values[FIELDS]) if FIELDS in values else (),
    )


def chosen_fields(listing: Listing, text: str) -> tuple[str, ...]:
    """The members a row is to have, in the order named. Raises InvalidFields."""
    names = tuple(name for part in text.split(",") if (name := part.strip()))
    known = listing.choices
    if not names or len(names) > len(known) or set(names) - set(known):
        raise InvalidFields(f"fields must be some of {', '.join(known)}.")
    return names


def plain_query(
    query: QueryDict, known: frozenset[str], *, joined: frozenset[str] = frozenset()
) -> dict[str, str]:
    """The query as single values. Raises InvalidQuery for what is not ``known``,
    repeated (but for what is ``joined`` by commas) or empty."""
    plain: dict[str, str] = {}
    for name, values in query.lists():
        if name not in known:
            raise InvalidQuery(f"Unknown query parameter {name!r}.")
        if name in joined and all(values):
            values = [",".join(values)]
        if len(values) != 1 or not values[0] or "\0" in values[0]:
            raise InvalidQuery(f"Query parameter {name!r} needs exactly one value.")
        plain[name] = values[0]
    return plain


def page_limit(text: str, *, maximum: int) -> int:
    """The page size asked for. Raises InvalidQuery outside 1 to ``maximum``."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= maximum):
        raise InvalidQuery(f"limit must be a whole number from 1 to {maximum}.")
    return int(text)


def filtered(
    filterset: type[django_filters.FilterSet],
    values: Mapping[str, str],
    queryset: QuerySet[Any],
) -> QuerySet[Any]:
    """``queryset`` under the filters given. Raises InvalidQuery for a bad value."""
    for name, always in filterset.base_filters.items():
        if isinstance(always, ArchivedFilter) and name not in values:
            queryset = always.filter(queryset, None)
    if not values:
        return queryset
    kind: Any = filterset
    bound = _only(kind, frozenset(values))(dict(values), queryset=queryset)
    if not bound.is_valid():
        name, faults = next(iter(bound.errors.items()))
        raise InvalidQuery(f"Query parameter {name!r}: {faults[0]}")
    found: QuerySet[Any] = bound.qs
    return found


@lru_cache(maxsize=1024)
def _only(filterset: Any, names: frozenset[str]) -> Any:
    """``filterset`` with these filters alone: all that it has are copied each time."""
    narrowed: Any = type(filterset.__name__, (filterset,), {})
    filters = filterset.base_filters
    narrowed.base_filters = {name: filters[name] for name in filters if name in names}
    return narrowed


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows as they go out, and the cursor that leads on; None on the last page."""

    rows: list[Row]
    cursor: str | None


def continued(asked: Question, rows: QuerySet[Any]) -> tuple[QuerySet[Any], int]:
    """Everything asked for from the cursor on, and the size of a page."""
    found = asked.rows(rows)
    limit = asked.limit or asked.listing.default_limit
    if asked.cursor is not None:
        timed = asked.order.is_timed(rows)
        worded = not timed and asked.order.column != "id"
        last = cursors.decode(asked.cursor, asked.bound_to, timed=timed, worded=worded)
        found = asked.order.after(found, last)
    return found, limit


def read_page(asked: Question, rows: QuerySet[Any]) -> Page:
    """The page asked for. One row more is read, so there is a cursor only when there
    is more."""
    found, limit = continued(asked, rows)
    read = asked.fetch(found[: limit + 1])
    cursor = None
    if len(read.rows) > limit:
        read.rows.pop()
        cursor = cursors.encode(asked.order.position(read), asked.bound_to)
    return Page([asked.shape(row) for row in read.wire_rows()], cursor)


def read_batches(
    asked: Question, rows: QuerySet[Any], size: int
) -> Iterator[list[Row]]:
    """Everything asked for, as rows that go out, ``size`` at a time: each batch is a
    short statement of its own, so that a slow reader holds nothing."""
    found = asked.rows(rows)
    following = found
    while True:
        read = asked.fetch(following[:size])
        last = asked.order.position(read) if len(read.rows) == size else None
        shaped = [asked.shape(row) for row in read.wire_rows()]
        # Not to be held while the next ones are read.
        del read
        yield shaped
        del shaped
        if last is None:
            return
        following = asked.order.after(found, last)


def read_spans(
    asked: Question, rows: QuerySet[Any], size: int
) -> Iterator[QuerySet[Any]]:
    """Everything asked for, as queries of ``size`` rows each. Both ends of a span are
    rows that were there, so that no insert moves one into or out of it."""
    found = asked.rows(rows)
    following = found
    while True:
        edge = asked.fetch(following.values(asked.order.column, "id")[size - 1 : size])
        if not edge.rows:
            yield following
            return
        last = asked.order.position(edge)
        yield asked.order.until(following, last)
        following = asked.order.after(found, last)


def link_to_next(asked: Question, cursor: str, form: str | None = None) -> str:
    """The ``Link`` header of a page that is not the last, in the ``form`` of a file
    where it was asked for so."""
    limit = asked.limit or asked.listing.default_limit
    following = urlencode(
        {
            **asked.asked,
            **({FORMAT: form} if form else {}),
            "limit": limit,
            "cursor": cursor,
        }
    )
    return f'<{asked.path}?{following}>; rel="next"'
