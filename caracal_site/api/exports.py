"""Lists as files (D24): everything that matches, in constant memory.

Rows are read and written in batches. The first is read before the answer begins, so
that what can be refused is refused with a status; the export is recorded before it,
so that no row leaves without evidence. A file that breaks off later says so in its last
line, since the server ends a broken answer like a whole one.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from itertools import chain
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from caracal_site.api.pagination import Question, Row, read_batches
from caracal_site.api.renderers import dumps
from caracal_site.errors import InvalidQuery
from caracal_site.times import to_wire

log = logging.getLogger(__name__)
BATCH = 1_000
# What spreadsheets take for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
Batches = Iterator[list[Row]]


def csv_lines(members: tuple[str, ...], batches: Batches) -> Iterator[bytes]:
    """Batches of rows as comma separated values (RFC 4180) under a heading."""
    heading: Iterator[list[Any]] = iter([[list(members)]])
    cells = (
        [[_cell(row.get(name)) for name in members] for row in rows] for rows in batches
    )
    for lines in chain(heading, cells):
        written = StringIO()
        csv.writer(written).writerows(lines)
        yield written.getvalue().encode()


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
    return dumps(value).decode()


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


FORMATS: Mapping[str, Format] = {
    "csv": Format("text/csv", csv_lines, b"EXPORT INCOMPLETE: ask again\r\n"),
    "ndjson": Format(
        "application/x-ndjson",
        ndjson_lines,
        b'{"error":"export_incomplete","error_description":"Ask again."}\n',
    ),
}


def export(
    asked: Question,
    rows: QuerySet[Any],
    extension: str,
    *,
    is_head: bool,
    record: Callable[[], None],
) -> HttpResponseBase:
    """The list as a file, with ``record`` called before any row leaves.

    Raises InvalidQuery for a page: an export has all.
    """
    if asked.limit is not None or asked.cursor is not None:
        raise InvalidQuery("An export has no pages: leave out limit and cursor.")
    kind = FORMATS[extension]
    headers = {
        "Content-Type": f"{kind.media_type}; charset=utf-8",
        "Content-Disposition": f'attachment; filename="{_name(asked)}.{extension}"',
        "X-Accel-Buffering": "no",
    }
    if is_head:
        return HttpResponse(headers=headers)
    batches = read_batches(asked, rows, BATCH)
    first = next(batches)
    record()
    lines = kind.lines(asked.members, chain([first], batches))
    return StreamingHttpResponse(to_the_end(lines, kind.broken), headers=headers)


def _name(asked: Question) -> str:
    return f"{asked.listing.name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
