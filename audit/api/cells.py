"""The evidence of a zone as a table that the database writes itself."""

from __future__ import annotations

from audit.api import shapes
from caracal_site.api.copying import SqlTable
from caracal_site.times import WIRE_SQL

LISTS = ("requested_scopes", "agent_labels")
TEXTS = tuple(name for name in shapes.METADATA if name not in LISTS)

DECISIONS = SqlTable(
    texts={
        **{
            name: f"t.{name}"
            for name in (
                "id",
                "event_type",
                "decision",
                "evaluation_status",
                "request_id",
            )
        },
        **{name: f"t.metadata_json ->> '{name}'" for name in TEXTS},
    },
    plain={
        "occurred_at": WIRE_SQL.format("t.occurred_at"),
        "ingested_at": WIRE_SQL.format("t.occurred_at"),
    },
    lists={name: f"t.metadata_json -> '{name}'" for name in LISTS},
)
CHANGES = SqlTable(
    texts={
        name: f"t.{name}"
        for name in (
            "id",
            "action",
            "method",
            "path",
            "entity_type",
            "entity_id",
            "actor_id",
            "actor_name",
            "actor_scope",
            "request_id",
        )
    },
    plain={
        "occurred_at": WIRE_SQL.format("t.occurred_at"),
        "status_code": "t.status_code",
        "chain_seq": "t.chain_seq",
        "signed": "CASE WHEN t.chain_hmac IS NULL THEN 'false' ELSE 'true' END",
    },
    lists={"changed_fields": "t.payload_json -> 'changed_fields'"},
)
