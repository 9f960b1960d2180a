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
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from io import StringIO
from operator import itemgetter
from typing import Any

import orjson
from django.db import connection
from django.db.models import DateTimeField, QuerySet

from caracal_site import cursors, statements
from caracal_site.api.pagination import Question, continued, read_spans
from caracal_site.times import to_wire

SPAN = 20_000
# What makes a text something else than it is: the first character (after the quote that
# divides texts here), or what stands anywhere and may be a credential.
CREDENTIAL = "Bearer|eyJ|c(at|op|s)_"
PECULIAR = f'"[][{{=+@\t\r\n＝＋－＠-]|{CREDENTIAL}'  # noqa: RUF001
# A word of a list that is written without its quotes, in ASCII and with nothing in it
# that JSON or a table writes otherwise.
WORD = r"[!#-*./0-9:;<>?A-Z^-z|}~][!#-+./0-9:;<=>?@A-Z^-z|}~-]*"
WORDS = f'^\\["{WORD}"(, "{WORD}")*\\]$'
# What stands before a list until its words are written: nothing that a text can have,
# since nobody is ever shown it.
LIST = secrets.token_hex(8).encode()
ONE_WORD, MORE_WORDS = (
    re.compile(rb'"%b\[""(%b)""\]"' % (LIST, words.encode()))
    for words in (WORD, f'{WORD}(?:"", ""{WORD})*')
)
# The same for the bytes of a whole span: cells begin behind one of SEPARATORS, and what
# begins with one of DOUBTFUL, with UTF-8's way to the wide forms of these or with a
# document, has to be looked at.
SEPARATORS, DOUBTFUL = b',"\n', b"=+-@\t\r[{\xef"
BEGINNINGS = bytes.maketrans(
    SEPARATORS + DOUBTFUL, b"\x03" * len(SEPARATORS) + b"\x02" * len(DOUBTFUL)
)
SECRETS = (b"eyJ", b"Bearer", b"cat_", b"cop_", b"cs_")
Cells = Callable[[dict[str, Any]], list[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlTable:
    """How the database writes the members of a list: SQL over ``t``, a row of its
    columns.

    ``texts`` may be peculiar, ``plain`` members never are, and ``lists`` are JSON.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    plain: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, str] = field(default_factory=dict)

    def has(self, members: tuple[str, ...]) -> bool:
        return {*members} <= {*self.texts, *self.plain, *self.lists}

    def statement(
        self, members: tuple[str, ...], inner: str, names: str, *, keys: str = ""
    ) -> str:
        """Writes every row as if it were plain, its ``keys`` behind it."""
        cells = ", ".join(self._cell(name) for name in members)
        return self._copy(cells + keys, inner, names)

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
            f"COPY (SELECT {cells} FROM ({inner}) AS t ({names}))"  # noqa: S608
            " TO STDOUT (FORMAT csv)"
        )

    def _is_plain(self, members: tuple[str, ...]) -> str:
        words, secret = _literal(WORDS), _literal(CREDENTIAL)
        lists = [f"({self.lists[name]})" for name in members if name in self.lists]
        tests = [
            f"({value} IS NULL OR jsonb_typeof({value}) = 'array'"
            f" AND {value}::text ~ {words} AND {value}::text !~ {secret})"
            for value in lists
        ]
        texts = [self.texts[name] for name in members if name in self.texts]
        if texts:
            joined = ", ".join(("''", *texts))
            tests.append(f"concat_ws('\"', {joined}) !~ {_literal(PECULIAR)}")
        return " AND ".join(tests) or "true"

    def _cell(self, name: str) -> str:
        if name in self.lists:
            return f"'{LIST.decode()}' || ({self.lists[name]})::text"
        if name in self.plain:
            return self.plain[name]
        # An empty text is written like none, without quotes.
        return f"nullif({self.texts[name]}, '')"


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


def copied_page(
    asked: Question, rows: QuerySet[Any], table: SqlTable
) -> tuple[bytes, str | None] | None:
    """The lines of the page asked for and the cursor that leads on, or None when one of
    its rows may be no plain one. Pages are in the order of a time."""
    found, limit = continued(asked, rows)
    statement = partial(table.statement, keys=f", t.{asked.order.column}, t.id")
    lines = _plain(_lines(asked, found[: limit + 1], statement))
    if lines is None:
        return None
    parts = [line.rsplit(b",", 2) for line in lines[:limit]]
    cursor = None
    if len(lines) > limit:
        at, row_id = (part.decode() for part in parts[-1][1:])
        position = cursors.Position(row_id, at=datetime.fromisoformat(at))
        cursor = cursors.encode(position, asked.bound_to)
    return _joined(asked, [cells for cells, _, _ in parts]), cursor


def _written(asked: Question, span: QuerySet[Any], table: SqlTable) -> bytes | None:
    """The lines of a span, or None when one of its rows may be no plain one."""
    lines = _plain(_lines(asked, span, table.statement))
    return None if lines is None else _joined(asked, lines)


def _joined(asked: Question, lines: list[bytes]) -> bytes:
    if len(asked.members) == 1:
        # One empty cell alone is told from no cell.
        lines = [line or b'""' for line in lines]
    return b"\r\n".join((*lines, b""))


def _plain(lines: list[bytes]) -> list[bytes] | None:
    """Lines of rows without their ends, or None when something in them may have to be
    written otherwise."""
    text = b"\n" + _with_words(b"".join(lines))
    if LIST in text or text.count(b"\n") != len(lines) + 1:
        return None
    if any(secret in text for secret in SECRETS):
        return None
    # No words at all are written as they are.
    bare = text.replace(b"[],", b",").replace(b"[]\n", b"\n")
    if b"\x03\x02" in bare.translate(BEGINNINGS):
        return None
    return text[1:].split(b"\n")[:-1]


def _with_words(text: bytes) -> bytes:
    """The lists of words that are left to be written, with a space between words."""
    text = ONE_WORD.sub(itemgetter(1), text)
    if LIST not in text:
        return text
    text = MORE_WORDS.sub(lambda match: match[1].replace(b'"", ""', b" "), text)
    return text.replace(LIST + b"[]", b"[]")


def _with_care(
    asked: Question, span: QuerySet[Any], table: SqlTable, cells: Cells
) -> bytes:
    times = _times(span)
    alone = b'""' if len(asked.members) == 1 else b""
    lines: list[bytes] = []
    for line in _lines(asked, span, table.careful_statement):
        if line.startswith(b","):
            lines += (_with_words(line[1:-1]) or alone, b"\r\n")
        else:
            lines.append(_peculiar(asked, line, times, cells))
    return b"".join(lines)


def _lines(
    asked: Question, span: QuerySet[Any], statement: Callable[..., str]
) -> list[bytes]:
    inner, params = span.query.sql_with_params()
    columns = list(span.query.values_select)
    names = ", ".join(connection.ops.quote_name(name) for name in columns)
    text = statement(asked.members, inner, names)
    with statements.copying(text.encode(), params) as copy:
        return [bytes(line) for line in copy]


def _peculiar(
    asked: Question, data: bytes, times: frozenset[str], cells: Cells
) -> bytes:
    [first, *_] = next(csv.reader(StringIO(data.decode(), newline="")))
    row = orjson.loads(first)
    for name in times & row.keys():
        row[name] = row[name] and to_wire(datetime.fromisoformat(row[name]))
    written = StringIO()
    csv.writer(written).writerow(cells(asked.shape(row)))
    return written.getvalue().encode()


def _times(span: QuerySet[Any]) -> frozenset[str]:
    fields = span.model._meta.concrete_fields
    return frozenset(field.name for field in fields if isinstance(field, DateTimeField))
