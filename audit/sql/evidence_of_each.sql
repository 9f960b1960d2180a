-- For statements that change many rows alike: one audit row, and the news once for every
-- row of ``moved``, in its order. The statement around this defines moved(nth, key,
-- members): a number of its own, what ends the key of the news about that row, and what its
-- payload needs to have put in. The random end of the id given becomes ``nth``: what is
-- before it no other has. Plain inserts, no index is read.
evidence_audit AS (
    -- include: audit/audit_row
    WHERE EXISTS (SELECT FROM moved)
),
evidence_outbox AS (
    INSERT INTO event_outbox (
        id, producer, zone_id, topic, dedupe_key, payload_json, request_id
    )
    SELECT
        left(t.id, -8) || lpad(moved.nth::text, 8, '0'),
        producer, zone_id, topic, dedupe_key || ':' || moved.key,
        payload_json || moved.members, request_id
    FROM moved, jsonb_to_recordset(%(evidence_outbox)s::jsonb) AS t (
        id text, producer text, zone_id text, topic text, dedupe_key text,
        payload_json jsonb, request_id text
    )
)
