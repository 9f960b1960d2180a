evidence_audit AS (
    -- One audit row and any number of outbox rows, given as JSON arrays. Bounded by
    -- what one gesture can change; plain inserts, no index is read. The statement
    -- around this defines evidence_patch(members): what replaces the placeholder of a
    -- payload that has a member "epoch". Where it is empty nothing is left.
    INSERT INTO admin_audit_events (
        id, request_id, actor_id, actor_name, actor_scope, action, method, path,
        zone_id, entity_type, entity_id, status_code, payload_json
    )
    SELECT t.*
    FROM evidence_patch, jsonb_to_recordset(%(evidence_audit)s::jsonb) AS t (
        id text, request_id text, actor_id text, actor_name text, actor_scope text,
        action text, method text, path text, zone_id text, entity_type text,
        entity_id text, status_code integer, payload_json jsonb
    )
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
