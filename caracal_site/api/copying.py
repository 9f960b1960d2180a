"""Tables written by the database: ``COPY ... TO STDOUT``, a span of rows at a time.

Most rows of evidence are plain: no cell would be computed by a spreadsheet, holds a
document or looks like a secret. A span is written as if all of its rows were, and then
looked over; when there is a doubt it is written again with care: what is not plain
comes as JSON and goes the way every row goes. So no rule is written twice, and what is
plain is judged narrowly. A span is read whole before it is given out: a slow reader
holds neither a transaction nor a connection.
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
# The same for the bytes of a whole span: cells begin behind one of SEPARATORS, and what
# begins with one of DOUBTFUL, with UTF-8's way to the wide forms of these or with a
# document, has to be looked at. A list that is no list of words is told by a byte 1.
SEPARATORS, DOUBTFUL = b',"\n', b"=+-@\t\r[{\xef"
BEGINNINGS = bytes.maketrans(
    SEPARATORS + DOUBTFUL, b"\x03" * len(SEPARATORS) + b"\x02" * len(DOUBTFUL)
)
DOUBTS = (b"\x01", b"eyJ", b"cat_", b"cop_", b"cs_", b',"\n', b'\n"\n')
BEARER = (b"Bearer", b"bearer", b"BEARER")
WIRE = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
Cells = Callable[[dict[str, Any]], list[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlTable:
    """How the database writes the members of a list: SQL over ``t``, a row of its
    columns, and ``record``, which may be joined to it.

    ``texts`` may be peculiar, ``plain`` members never are, and ``lists`` are JSON and
    its text.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    plain: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    record: str = ""

    def has(self, members: tuple[str, ...]) -> bool:
        return {*members} <= {*self.texts, *self.plain, *self.lists}

    def statement(self, members: tuple[str, ...], inner: str, names: str) -> str:
        """Writes every row as if it were plain."""
        cells = ", ".join(self._cell(name) for name in members)
        return self._copy(cells, inner, names)

    def careful_statement(
        self, members: tuple[str, ...], inner: str, names: str
    ) -> str:
        """Writes rows with a cell before the others: the row as JSON unless it is
        plain."""
        cells = ", ".join(self._cell(name) for name in members)
        doubted = f"CASE WHEN NOT ({self._is_plain(members)}) THEN row_to_json(t)::text"
        return self._copy(f"{doubted} END, {cells}", inner, names)

    def _copy(self, cells: str, inner: str, names: str) -> str:
        return (
            f"COPY (SELECT {cells} FROM ({inner}) AS t ({names}) {self.record})"  # noqa: S608
            " TO STDOUT (FORMAT csv)"
        )

    def _is_plain(self, members: tuple[str, ...]) -> str:
        words, secret = _literal(WORDS), _literal(CREDENTIAL)
        lists = [self.lists[name] for name in members if name in self.lists]
        tests = [
            f"({text} IS NULL OR jsonb_typeof({value}) = 'array'"
            f" AND {text} ~ {words} AND {text} !~ {secret})"
            for value, text in ((f"({value})", f"({text})") for value, text in lists)
        ]
        texts = [self.texts[name] for name in members if name in self.texts]
        if texts:
            joined = ", ".join(("''", *texts))
            tests.append(f"concat_ws('\"', {joined}) !~ {_literal(PECULIAR)}")
        return " AND ".join(tests) or "true"

    def _cell(self, name: str) -> str:
        if name in self.lists:
            value, text = self.lists[name]
            return _words(f"({value})", f"({text})")
        if name in self.plain:
            return self.plain[name]
        # An empty text is written like none, without quotes.
        return f"nullif({self.texts[name]}, '')"


def _words(value: str, text: str) -> str:
    """The words of a JSON list with a space between them; a byte 1 for any other. It is
    one of words when spaces and lengths are what they make them and nothing is in it
    that JSON writes otherwise: told by lengths, which cost less than patterns."""
    words = f"replace(btrim({text}, '[]\"'), '\", \"', ' ')"
    spaces = f"length({words}) - length(replace({words}, ' ', ''))"
    return (
        f"CASE WHEN {text} IS NULL THEN NULL"
        f" WHEN {text} = '[]' THEN {text}"
        f" WHEN jsonb_typeof({value}) = 'array'"
        f" AND left({text}, 2) = '[\"' AND right({text}, 2) = '\"]'"
        f" AND length({text}) - length({words}) = 3 * ({spaces}) + 4"
        f" AND translate({words}, '\"\\,[]', '') = {words}"
        f" AND octet_length({words}) = length({words})"
        f" THEN {words} ELSE E'\\x01' END"
    )


def _literal(text: str) -> str:
    """A text as SQL has it inside a statement whose ``%`` are parameters."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''").replace("%", "%%") + "'"


def copied(
    asked: Question, rows: QuerySet[Any], table: SqlTable, cells: Cells
) -> Iterator[bytes]:
    """The lines of all rows asked for, some thousands at a time; ``cells`` makes the
    cells of a row that is not plain."""
    for span in read_spans(asked, rows, SPAN):
        written = _written(asked, span, table)
        yield _with_care(asked, span, table, cells) if written is None else written


def _written(asked: Question, span: QuerySet[Any], table: SqlTable) -> bytes | None:
    """The lines of a span, or None when one of its rows may be no plain one."""
    lines = [line[:-1] for line in _lines(asked, span, table.statement)]
    if len(asked.members) == 1:
        # One empty cell alone is told from no cell.
        lines = [line or b'""' for line in lines]
    if not lines:
        return b""
    return None if _is_doubtful(b"\n".join(lines)) else b"\r\n".join((*lines, b""))


def _is_doubtful(lines: bytes) -> bool:
    """Whether something in these lines may have to be written otherwise."""
    text = b"\n" + lines + b"\n"
    if any(doubt in text for doubt in (*DOUBTS, *BEARER)):
        return True
    # No words at all are written as they are.
    bare = text.replace(b"[],", b",").replace(b"[]\n", b"\n")
    return b"\x03\x02" in bare.translate(BEGINNINGS)


def _with_care(
    asked: Question, span: QuerySet[Any], table: SqlTable, cells: Cells
) -> bytes:
    times = _times(span)
    alone = b'""' if len(asked.members) == 1 else b""
    lines: list[bytes] = []
    for line in _lines(asked, span, table.careful_statement):
        if line.startswith(b","):
            lines += (line[1:-1] or alone, b"\r\n")
        else:
            lines.append(_peculiar(asked, line, times, cells))
    return b"".join(lines)


def _lines(
    asked: Question, span: QuerySet[Any], statement: Callable[..., str]
) -> Iterator[bytes]:
    inner, params = span.query.sql_with_params()
    columns = list(span.query.values_select)
    names = ", ".join(connection.ops.quote_name(name) for name in columns)
    text = statement(asked.members, inner, names)
    connection.ensure_connection()
    with (
        connection.wrap_database_errors,
        psycopg.Cursor(connection.connection) as cursor,
        cursor.copy(text.encode(), params) as copy,
    ):
        for line in copy:
            yield bytes(line)


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
