"""A database that refuses to write, for tests of what happens then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def refusing(zone_id: str, table: str, *, change: str = "INSERT") -> Iterator[None]:
    """Refuses to INSERT or UPDATE rows of the zone in ``table`` within the block."""
    function = f"refuse_{change.lower()}_{table}"
    row = "NEW" if change == "INSERT" else "OLD"
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'refused by a test'; END $$"
        )
        cursor.execute(
            f"CREATE TRIGGER {function} BEFORE {change} ON {table} FOR EACH ROW"
            f" WHEN ({row}.zone_id = '{zone_id}') EXECUTE FUNCTION {function}()"
        )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP FUNCTION {function} CASCADE")
