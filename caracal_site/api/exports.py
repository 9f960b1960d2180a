"""Lists as files (D24): everything that matches, in constant memory.

Rows are read and written in batches. The first is read before the answer begins, so
that what can be refused is refused with a status; the export is recorded before it,
so that no row leaves without evidence. A file that breaks off later says so in its last
line, since the server ends a broken answer like a whole one.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from itertools import chain, islice
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from caracal_site.api.copying import SqlTable, copied, copied_page
from caracal_site.api.pagination import (
    Question,
    link_to_next,
    read_batches,
    read_page,
)
from caracal_site.api.reading import Row
from caracal_site.api.renderers import dumps
from caracal_site.times import to_wire

log = logging.getLogger(__name__)
BATCH = 1_000
# What spreadsheets take for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
WORD = re.compile(r"[^\s\[][^\s]*")
Batches = Iterator[list[Row]]


def csv_lines(members: tuple[str, ...], batches: Batches) -> Iterator[bytes]:
    """Batches of rows as comma separated values (RFC 4180) under a heading."""
    yield _written([list(members)])
    for rows in batches:
        text = _written([[_cell(row.get(name)) for name in members] for row in rows])
        del rows
        yield text


def _written(lines: list[list[Any]]) -> bytes:
    written = StringIO()
    csv.writer(written).writerows(lines)
    return written.getvalue().encode()


def csv_by_database(asked: Question, rows: QuerySet[Any]) -> Iterator[bytes]:
    """The same of everything asked for, written by the database where it may be."""
    members = asked.members
    yield from csv_lines(members, iter(()))

    def cells(row: Row) -> list[Any]:
        return [_cell(row.get(name)) for name in members]

    yield from copied(asked, rows, asked.listing.written, cells)


def _cell(value: Any) -> Any:
    """``value`` for one cell; text that a spreadsheet would compute is quoted."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return value
        case datetime():
            return to_wire(value)
        case str():
            return f"'{value}" if value.startswith(FORMULA) else value
        case list() if value and all(_is_word(one) for one in value):
            return _cell(" ".join(value))
    return dumps(value).decode()


def _is_word(value: Any) -> bool:
    """Whether ``value`` can be told from its neighbours, and from JSON, in a list of
    words."""
    return isinstance(value, str) and WORD.fullmatch(value) is not None


def ndjson_lines(members: tuple[str, ...], batches: Batches) -> Iterator[bytes]:
    """Batches of rows as one JSON object a line, as the list itself has them."""
    for rows in batches:
        yield b"".join(dumps(row) + b"\n" for row in rows)


def to_the_end(lines: Iterator[bytes], broken: bytes) -> Iterator[bytes]:
    """``lines``, and ``broken`` after them when they could not all be had."""
    try:
        yield from lines
    except Exception:
        log.exception("export broke off")
        yield broken


@dataclass(frozen=True, slots=True)
class Format:
    """How a file of rows is written, and the last line of one that broke off."""

    media_type: str
    lines: Callable[[tuple[str, ...], Batches], Iterator[bytes]]
    broken: bytes
    is_table: bool = False


FORMATS: Mapping[str, Format] = {
    "csv": Format("text/csv", csv_lines, b"EXPORT INCOMPLETE: ask again\r\n", True),
    "ndjson": Format(
        "application/x-ndjson",
        ndjson_lines,
        b'{"error":"export_incomplete","error_description":"Ask again."}\n',
    ),
}


def all_lines(kind: Format, shown: Question, rows: QuerySet[Any]) -> Iterator[bytes]:
    """Everything asked for as a file has it."""
    if _table(kind, shown) is not None:
        return csv_by_database(shown, rows)
    return kind.lines(shown.members, read_batches(shown, rows, BATCH))


def _page_lines(
    kind: Format, shown: Question, rows: QuerySet[Any]
) -> tuple[Iterator[bytes], str | None]:
    """The page asked for as a file has it, and the cursor that leads on."""
    table = _table(kind, shown)
    if table is not None and shown.order.is_timed(rows):
        written = copied_page(shown, rows, table)
        if written is not None:
            text, cursor = written
            return chain(csv_lines(shown.members, iter(())), [text]), cursor
    page = read_page(shown, rows)
    return kind.lines(shown.members, iter([page.rows])), page.cursor


def _table(kind: Format, shown: Question) -> SqlTable | None:
    """How the database writes the rows itself, where it can."""
    table: SqlTable | None = shown.listing.written if kind.is_table else None
    return table if table is not None and table.has(shown.members) else None


def export(
    asked: Question,
    rows: QuerySet[Any],
    extension: str,
    *,
    name: str,
    is_head: bool,
    record: Callable[[], None],
) -> HttpResponseBase:
    """The list as a file named ``name``, with ``record`` called before any row leaves.

    It has all rows, or the page whose ``limit`` or ``cursor`` is asked for, with a
    ``Link`` to the next one.
    """
    kind = FORMATS[extension]
    headers = {
        "Content-Type": f"{kind.media_type}; charset=utf-8",
        "Content-Disposition": f'attachment; filename="{name}.{extension}"',
        "X-Accel-Buffering": "no",
    }
    if is_head:
        return HttpResponse(headers=headers)
    shown = asked.in_a_table if kind.is_table else asked
    if asked.limit is None and asked.cursor is None:
        lines = all_lines(kind, shown, rows)
    else:
        lines, following = _page_lines(kind, shown, rows)
        if following:
            headers["Link"] = link_to_next(asked, following, extension)
    # The first rows, and the heading above them.
    begun = list(islice(lines, 2 if kind.is_table else 1))
    record()
    lines = chain(begun, lines)
    return StreamingHttpResponse(to_the_end(lines, kind.broken), headers=headers)
