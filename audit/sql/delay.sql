-- Counts a failed attempt on the first row of each failing zone. With ``backs_off``
-- the zone waits 2, 4, 8 ... at most 60 seconds for its next one, for ever.
WITH failed AS (
    UPDATE event_outbox
    SET attempts = attempts + 1, last_error = failed.error
    FROM unnest(%(ids)s::text[], %(errors)s::text[]) AS failed (id, error)
    WHERE event_outbox.id = failed.id
    RETURNING zone_id, attempts
)
UPDATE event_heads
SET retry_at = now() + make_interval(secs => least(60, 2 ^ least(failed.attempts, 6)))
FROM failed
WHERE event_heads.zone_id = failed.zone_id AND %(backs_off)s
