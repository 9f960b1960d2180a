-- The next rows of each of some zones in the order of publication: what an interrupted
-- run has numbered already, then the rest by position. At most ``limit`` rows a zone,
-- read in index order (event_outbox_pending).
SELECT
    o.id, o.zone_id, o.producer, o.topic, o.dedupe_key, o.payload_json::text, o.zone_seq
FROM unnest(%(zones)s::text[]) AS z (zone_id)
CROSS JOIN LATERAL (
    SELECT *
    FROM event_outbox
    WHERE zone_id = z.zone_id AND published_at IS NULL AND parked_at IS NULL
    ORDER BY zone_seq, position
    LIMIT %(limit)s
) AS o
ORDER BY o.zone_id, o.zone_seq, o.position
