-- The next rows of each of some zones in the order of publication: what an interrupted
-- run had on its way, under the numbers given then, or else the next ones by position,
-- at most ``limit`` a zone (event_outbox_pending).
WITH underway AS (
    SELECT
        event.*,
        head.last_seq - cardinality(head.sending) + sent.nth AS number
    FROM event_heads AS head
    CROSS JOIN LATERAL unnest(head.sending) WITH ORDINALITY AS sent (position, nth)
    JOIN event_outbox AS event
        ON event.zone_id = head.zone_id AND event.position = sent.position
    WHERE
        head.zone_id = ANY(%(zones)s::text[])
        AND event.published_at IS NULL AND event.parked_at IS NULL
)
SELECT id, zone_id, producer, topic, dedupe_key, payload_json::text, position, number
FROM underway
UNION ALL
SELECT
    fresh.id, fresh.zone_id, fresh.producer, fresh.topic, fresh.dedupe_key,
    fresh.payload_json::text, fresh.position, NULL
FROM unnest(%(zones)s::text[]) AS zone (id)
CROSS JOIN LATERAL (
    SELECT *
    FROM event_outbox
    WHERE zone_id = zone.id AND published_at IS NULL AND parked_at IS NULL
    ORDER BY position
    LIMIT %(limit)s
) AS fresh
WHERE NOT EXISTS (SELECT FROM underway WHERE underway.zone_id = zone.id)
ORDER BY zone_id, number, position
