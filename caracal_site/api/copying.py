"""Tables written by the database: ``COPY ... TO STDOUT``, a span of rows at a time.

Most rows of evidence are plain: no cell would be computed by a spreadsheet, holds a
document or looks like a secret. The database writes those as they are and hands over
the others as JSON, which go the way every row goes; so no rule is written twice, and
what is plain is judged narrowly. A span is read whole before it is given out, so that a
slow reader holds neither a transaction nor a connection.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from io import StringIO
from typing import Any

import orjson
import psycopg
from django.db import connection
from django.db.models import DateTimeField, QuerySet

from caracal_site.api.pagination import Question, read_spans

SPAN = 20_000
# What makes a text something else than it is: the first character (after the quote that
# divides texts here), or what stands anywhere and may be a credential.
CREDENTIAL = "[Bb][Ee][Aa][Rr][Ee][Rr]|eyJ|c(at|op|s)_"
PECULIAR = f'"[][{{=+@\t\r\n＝＋－＠-]|{CREDENTIAL}'  # noqa: RUF001
WORD = r'"[^][\s"\\{=+@＝＋－＠-][^][\s"\\]*"'  # noqa: RUF001
WORDS = f"^\\[{WORD}(, {WORD})*\\]$"
WIRE = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
Cells = Callable[[dict[str, Any]], list[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlTable:
    """How the database writes the members of a list: SQL over ``t``, a row of its
    columns, and ``record``, which may be joined to it.

    ``texts`` may be peculiar, ``plain`` members never are, and ``lists`` are JSON.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    plain: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, str] = field(default_factory=dict)
    record: str = ""

    def has(self, members: tuple[str, ...]) -> bool:
        return {*members} <= {*self.texts, *self.plain, *self.lists}

    def statement(self, members: tuple[str, ...], inner: str, names: str) -> str:
        cells = ", ".join(self._cell(name) for name in members)
        return (
            f"COPY (SELECT CASE WHEN NOT ({self._is_plain(members)})"  # noqa: S608
            f" THEN row_to_json(t)::text END, {cells}"
            f" FROM ({inner}) AS t ({names}) {self.record})"
            " TO STDOUT (FORMAT csv)"
        )

    def _is_plain(self, members: tuple[str, ...]) -> str:
        tests = [
            f"({one} IS NULL OR {one} = 'null' OR {one}::text ~ {_literal(WORDS)}"
            f" AND {one}::text !~ {_literal(CREDENTIAL)})"
            for one in (
                f"({self.lists[name]})" for name in members if name in self.lists
            )
        ]
        texts = self._of(members, self.texts)
        if texts:
            joined = ", ".join(("''", *texts))
            tests.append(f"concat_ws('\"', {joined}) !~ {_literal(PECULIAR)}")
        return " AND ".join(tests) or "true"

    def _cell(self, name: str) -> str:
        if name in self.lists:
            words = f"btrim(({self.lists[name]})::text, '[]\"')"
            return f"replace(nullif({words}, 'null'), '\", \"', ' ')"
        if name in self.plain:
            return self.plain[name]
        # An empty text is written like none, without quotes.
        return f"nullif({self.texts[name]}, '')"

    def _of(self, members: tuple[str, ...], known: Mapping[str, str]) -> list[str]:
        return [known[name] for name in members if name in known]


def _literal(text: str) -> str:
    """A text as SQL has it inside a statement whose ``%`` are parameters."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''").replace("%", "%%") + "'"


def copied(
    asked: Question, rows: QuerySet[Any], table: SqlTable, cells: Cells
) -> Iterator[bytes]:
    """The lines of all rows asked for, some thousands at a time; ``cells`` makes the
    cells of a row that is not plain."""
    for span in read_spans(asked, rows, SPAN):
        yield _written(asked, span, table, cells)


def _written(
    asked: Question, span: QuerySet[Any], table: SqlTable, cells: Cells
) -> bytes:
    inner, params = span.query.sql_with_params()
    columns = list(span.query.values_select)
    names = ", ".join(connection.ops.quote_name(name) for name in columns)
    statement = table.statement(asked.members, inner, names)
    times = _times(span)
    lines: list[bytes] = []
    alone = b'""' if len(asked.members) == 1 else b""
    connection.ensure_connection()
    with (
        connection.wrap_database_errors,
        psycopg.Cursor(connection.connection) as cursor,
        cursor.copy(statement.encode(), params) as copy,
    ):
        for line in copy:
            data = bytes(line)
            if data.startswith(b","):
                # One empty cell alone is told from no cell.
                lines += (data[1:-1] or alone, b"\r\n")
            else:
                lines.append(_peculiar(asked, data, times, cells))
    return b"".join(lines)


def _peculiar(
    asked: Question, data: bytes, times: frozenset[str], cells: Cells
) -> bytes:
    [first, *_] = next(csv.reader(StringIO(data.decode(), newline="")))
    row = orjson.loads(first)
    for name in times & row.keys():
        row[name] = row[name] and datetime.fromisoformat(row[name])
    written = StringIO()
    csv.writer(written).writerow(cells(asked.shape(row)))
    return written.getvalue().encode()


def _times(span: QuerySet[Any]) -> frozenset[str]:
    fields = span.model._meta.concrete_fields
    return frozenset(field.name for field in fields if isinstance(field, DateTimeField))
