"""What the runtime role may do in the database: everything but rewrite evidence.

The processes that serve requests connect as a role that owns nothing. Whoever takes
one of them over can neither change the schema nor alter or remove an audit record.
"""

from __future__ import annotations

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

SCHEMA = "public"
APPEND_ONLY_TABLES = (
    "admin_audit_events",
    "audit_events",
    "audit_links",
    "audit_tree_nodes",
    "policy_versions",
    "policy_set_versions",
    "policy_set_members",
)
# Written once by the sealing job, long after the record itself.
SEAL_COLUMNS = (
    "chain_seq",
    "prev_content_sha256",
    "content_sha256",
    "chain_hmac",
)
# What the processes may do to months and old rows of the ledger: these look for
# themselves that it is right.
FUNCTIONS = (
    "caracal_make_ledger_partition",
    "caracal_retire_decisions",
    "caracal_retire_ledger_partition",
)
OWN_FUNCTIONS = """
SELECT oid::regprocedure::text FROM pg_proc
WHERE pronamespace = %s::regnamespace AND proname = ANY(%s)
"""
PARTITIONS = """
SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
JOIN pg_class AS p ON p.oid = i.inhparent
WHERE p.relnamespace = %s::regnamespace AND p.relname = ANY(%s) AND c.relispartition
  AND c.relkind = 'r'
"""


def grant_runtime_role(connection: BaseDatabaseWrapper, role_name: str) -> None:
    """Gives ``role_name`` exactly its rights on the tables there are now.

    Rights are built up from nothing each time, so what an earlier release granted
    does not linger. Tables that do not exist yet are left for the next call.
    """
    role, schema = sql.Identifier(role_name), sql.Identifier(SCHEMA)
    names: dict[str, sql.Composable] = {"role": role, "schema": schema}
    statements = [
        "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}",
        "REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM {role}",
        "GRANT USAGE ON SCHEMA {schema} TO {role}",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema}"
        " TO {role}",
        "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
    ]
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(sql.SQL(statement).format(**names))
        existing = set(connection.introspection.table_names(cursor))
        for table in existing.intersection(APPEND_ONLY_TABLES):
            _make_append_only(connection, role, table)
        # Rows go in and out by the whole table alone.
        cursor.execute(PARTITIONS, [SCHEMA, list(APPEND_ONLY_TABLES)])
        for (partition,) in cursor.fetchall():
            names["partition"] = sql.Identifier(SCHEMA, partition)
            revoke = sql.SQL("REVOKE ALL ON {partition} FROM {role}")
            cursor.execute(revoke.format(**names))
        cursor.execute(OWN_FUNCTIONS, [SCHEMA, list(FUNCTIONS)])
        for (function,) in cursor.fetchall():
            grant = sql.SQL("GRANT EXECUTE ON FUNCTION {function} TO {role}")
            cursor.execute(grant.format(function=sql.SQL(function), **names))


def _make_append_only(
    connection: BaseDatabaseWrapper, role: sql.Identifier, table: str
) -> None:
    with connection.cursor() as cursor:
        description = connection.introspection.get_table_description(cursor, table)
        columns = {column.name for column in description}
        seals = [name for name in SEAL_COLUMNS if name in columns]
        names = {
            "role": role,
            "table": sql.Identifier(SCHEMA, table),
            "seals": sql.SQL(", ").join(map(sql.Identifier, seals)),
        }
        statements = [
            "REVOKE ALL ON {table} FROM {role}",
            "GRANT SELECT, INSERT ON {table} TO {role}",
        ]
        if seals:
            statements.append("GRANT UPDATE ({seals}) ON {table} TO {role}")
        for statement in statements:
            cursor.execute(sql.SQL(statement).format(**names))
