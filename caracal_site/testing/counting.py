"""How many SQL statements a request of the coordinator runs, hidden ones included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection

from caracal_site.testing.client import Background, in_every_db_thread

# What frames statements and asks nothing is not counted.
TRANSACTION = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


def statements_of(background: Background, request: Callable[[], Any]) -> list[str]:
    """The statements that ``request`` makes the database threads run.

    ``settings.DEBUG`` must be on, which makes Django keep them.
    """
    background.run(in_every_db_thread(_forget))
    request()
    found = background.run(in_every_db_thread(_kept))
    return [statement for thread in found for statement in thread]


def _forget() -> None:
    connection.queries_log.clear()


def _kept() -> list[str]:
    return [
        str(entry["sql"])
        for entry in connection.queries_log
        if not str(entry["sql"]).upper().startswith(TRANSACTION)
    ]
