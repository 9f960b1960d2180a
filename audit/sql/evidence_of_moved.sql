-- For statements that find out themselves whether they change anything: the evidence of
-- ``moved``, at most one row, and none without it. The statement around this defines
-- moved(transition, members): what ends the keys of the news, if anything, and what their
-- payloads need to have put in. Plain inserts, no index is read.
evidence_audit AS (
    -- include: audit/audit_row
    CROSS JOIN moved
),
evidence_outbox AS (
    INSERT INTO event_outbox (
        id, producer, zone_id, topic, dedupe_key, payload_json, request_id
    )
    SELECT
        id, producer, zone_id, topic,
        dedupe_key || coalesce(':' || moved.transition, ''),
        payload_json || moved.members, request_id
    FROM moved, jsonb_to_recordset(%(evidence_outbox)s::jsonb) AS t (
        id text, producer text, zone_id text, topic text, dedupe_key text,
        payload_json jsonb, request_id text
    )
)
