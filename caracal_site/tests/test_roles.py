"""What the runtime role may do, read from the database's own catalogue."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection, transaction

from caracal_site.roles import APPEND_ONLY_TABLES, SEAL_COLUMNS, grant_runtime_role

ROLE = "caracal_app"


@pytest.fixture
def granted() -> Iterator[None]:
    """The grants, taken back afterwards."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE])
        if cursor.fetchone() is None:
            pytest.skip(f"this database server has no role {ROLE}")
    with transaction.atomic():
        grant_runtime_role(connection, ROLE)
        yield
        transaction.set_rollback(True)


def allowed(table: str) -> set[str]:
    names = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p FROM unnest(%s::text[]) p WHERE has_table_privilege(%s, %s, p)",
            [list(names), ROLE, table],
        )
        return {row[0] for row in cursor.fetchall()}


def updatable_columns(table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
            " AND has_column_privilege(%s, attrelid, attnum, 'UPDATE')",
            [table, ROLE],
        )
        return {row[0] for row in cursor.fetchall()}


def seals_of(table: str) -> set[str]:
    with connection.cursor() as cursor:
        columns = connection.introspection.get_table_description(cursor, table)
    return {column.name for column in columns}.intersection(SEAL_COLUMNS)


def tables() -> list[str]:
    return connection.introspection.table_names()


@pytest.mark.usefixtures("granted")
@pytest.mark.parametrize("table", APPEND_ONLY_TABLES)
def test_evidence_can_be_added_and_sealed_and_nothing_else(table: str) -> None:
    assert allowed(table) == {"SELECT", "INSERT"}
    assert updatable_columns(table) == seals_of(table)


def test_the_chained_ledger_has_every_seal() -> None:
    assert seals_of("admin_audit_events") == set(SEAL_COLUMNS)


@pytest.mark.usefixtures("granted")
def test_every_other_table_can_be_read_and_changed_but_not_emptied() -> None:
    ordinary = {"SELECT", "INSERT", "UPDATE", "DELETE"}
    others = [name for name in tables() if name not in APPEND_ONLY_TABLES]
    assert others
    assert {name: allowed(name) for name in others} == dict.fromkeys(others, ordinary)


@pytest.mark.usefixtures("granted")
def test_rights_of_an_earlier_release_do_not_linger() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"GRANT ALL ON audit_events TO {ROLE}")
        cursor.execute(f"GRANT UPDATE (id) ON audit_events TO {ROLE}")
    grant_runtime_role(connection, ROLE)
    assert allowed("audit_events") == {"SELECT", "INSERT"}
    assert updatable_columns("audit_events") == seals_of("audit_events")
