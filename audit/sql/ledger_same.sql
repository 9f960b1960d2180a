-- Which of some decisions, given as a JSON array, the ledger has with the same content:
-- null where it has none of the id. Rows by primary key.
SELECT
    e.id,
    (
        SELECT
            -- include: audit/ledger_message
        FROM audit_events AS e
        WHERE e.id = incoming.id
    )
    = (
        -- include: audit/ledger_message
    ) AS is_same
FROM jsonb_to_recordset(%(rows)s::jsonb) AS e (
    id text, zone_id text, event_type text, request_id text, decision text,
    policy_set_id text, policy_set_version_id text, manifest_sha text,
    evaluation_status text, determining_policies_json jsonb,
    diagnostics_json jsonb, metadata_json jsonb, occurred_at timestamptz
)
CROSS JOIN LATERAL (SELECT e.id) AS incoming (id)
