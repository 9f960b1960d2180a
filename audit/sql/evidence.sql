evidence_audit AS (
    -- One audit row and any number of outbox rows, given as JSON arrays. Bounded by
    -- what one gesture can change; plain inserts, no index is read. The statement
    -- around this defines evidence_patch(members): what replaces the placeholder of a
    -- payload that has a member "epoch". Where it is empty nothing is left.
    -- include: audit/audit_row
    CROSS JOIN evidence_patch
),
evidence_outbox AS (
    INSERT INTO event_outbox (
        id, producer, zone_id, topic, dedupe_key, payload_json, request_id
    )
    SELECT
        id, producer, zone_id, topic, dedupe_key,
        CASE
            WHEN payload_json ? 'epoch' THEN payload_json || evidence_patch.members
            ELSE payload_json
        END,
        request_id
    FROM evidence_patch, jsonb_to_recordset(%(evidence_outbox)s::jsonb) AS t (
        id text, producer text, zone_id text, topic text, dedupe_key text,
        payload_json jsonb, request_id text
    )
)
