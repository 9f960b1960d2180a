"""Named SQL statements kept beside the code that runs them.

``load("agents/spawn")`` reads ``agents/sql/spawn.sql``. A line
``-- include: audit/evidence`` is replaced by that file's text, so that a fragment
shared by several statements is written once.

They are run with server-side parameters and prepared, so that the database plans each
of them once a connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection, connections
from psycopg import sql

INCLUDE = re.compile(r"^[ \t]*-- include: (\S+)$", re.MULTILINE)
PLACEHOLDER = re.compile(r"%(?:\((\w+)\)s|%)")
COMMENT = re.compile(r"^[ \t]*--.*\n", re.MULTILINE)


@cache
def load(name: str) -> str:
    """The text of the statement ``app/name``: includes resolved, comments and
    indentation dropped."""
    app, _, file = name.partition("/")
    text = (settings.BASE_DIR / app / "sql" / f"{file}.sql").read_text(encoding="utf-8")
    text = INCLUDE.sub(lambda match: load(match[1]), text)
    return "\n".join(line.strip() for line in COMMENT.sub("", text).splitlines())


def fetch_one(name: str, parameters: Mapping[str, object]) -> tuple[Any, ...]:
    """Runs the statement and returns its only row."""
    return fetch_text(load(name), parameters)


def fetch_text(text: str, parameters: Mapping[str, object]) -> tuple[Any, ...]:
    """``fetch_one`` for a statement given as text."""
    with _prepared(text, parameters) as cursor:
        row = cursor.fetchone()
    if row is None:
        raise LookupError("a statement that returns one row returned none")
    return tuple(row)


def fetch_all(name: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
    """Runs the statement and returns all its rows."""
    return fetch_rows(load(name), parameters)


def fetch_rows(
    text: str, parameters: Mapping[str, object], *, binary: bool = False
) -> list[tuple[Any, ...]]:
    """``fetch_all`` for a statement given as text. ``binary`` values are read faster
    where there are times among them."""
    with _prepared(text, parameters, binary=binary) as cursor:
        return [tuple(row) for row in cursor.fetchall()]


def execute(name: str, parameters: Mapping[str, object]) -> int:
    """Runs the statement and returns how many rows it changed."""
    with _prepared(load(name), parameters) as cursor:
        return int(cursor.rowcount)


def connection_for(text: str) -> Any:
    """The open connection of this thread, about to run a statement past Django."""
    # Once: each use of Django's ``connection`` looks up whose it is.
    mine = connections[DEFAULT_DB_ALIAS]
    mine.ensure_connection()
    if mine.queries_logged:
        mine.queries_log.append({"sql": text, "time": "0"})
    mine.validate_no_broken_transaction()
    return mine


@contextmanager
def copying(statement: Any, parameters: Any = None) -> Iterator[psycopg.Copy]:
    """A ``COPY`` under way, from or to this process."""
    connection.ensure_connection()
    with (
        connection.wrap_database_errors,
        psycopg.Cursor(connection.connection) as cursor,
        cursor.copy(statement, parameters) as copy,
    ):
        yield copy


def copied_rows(
    name: str, types: Sequence[str], **values: str
) -> Iterator[tuple[Any, ...]]:
    """The rows that the ``COPY`` called ``name`` writes, as they are read; it has the
    ``values`` in braces."""
    text: Any = load(name)
    literals = {key: sql.Literal(value) for key, value in values.items()}
    with copying(sql.SQL(text).format(**literals)) as copy:
        copy.set_types(types)
        yield from copy.rows()


def _prepared(
    text: str, parameters: Mapping[str, object], *, binary: bool = False
) -> Any:
    mine = connection_for(text)
    with mine.wrap_database_errors:
        # Not Django's cursor, which writes the parameters into the text; nor the
        # driver's usual one, which takes long texts apart anew each time.
        query, names = numbered(text)
        cursor = psycopg.RawCursor(mine.connection)
        values = [parameters[name] for name in names]
        cursor.execute(query, values, prepare=True, binary=binary)
    return cursor


@lru_cache(maxsize=1024)
def numbered(text: str) -> tuple[bytes, tuple[str, ...]]:
    """The statement with ``$1`` for ``%(name)s``, and the names in order."""
    names: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        if match[1] is None:
            return "%"
        return f"${names.setdefault(match[1], len(names) + 1)}"

    return PLACEHOLDER.sub(number, text).encode(), tuple(names)
