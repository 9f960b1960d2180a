-- Counts a failed attempt on the first row of each failing zone. With ``backs_off``
-- the zone waits 2, 4, 8 ... at most 60 seconds for its next one, for ever.
UPDATE event_outbox
SET
    attempts = attempts + 1,
    last_error = failed.error,
    available_at = now() + CASE
        WHEN %(backs_off)s THEN make_interval(secs => least(60, 2 ^ least(attempts + 1, 6)))
        ELSE interval '0'
    END
FROM unnest(%(ids)s::text[], %(errors)s::text[]) AS failed (id, error)
WHERE event_outbox.id = failed.id
