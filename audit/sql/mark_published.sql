-- Bounded by one batch; rows by primary key. Each zone's head forgets what it had on its
-- way up to and including the number ``arrived``; who listens is told of the zone.
WITH published AS (
    UPDATE event_outbox
    SET published_at = now(), zone_seq = done.number, last_error = NULL
    FROM unnest(%(ids)s::text[], %(numbers)s::bigint[]) AS done (id, number)
    -- Twice, so that they are found by one walk of the index.
    WHERE event_outbox.id = done.id AND event_outbox.id = ANY (%(ids)s::text[])
),
settled AS (
    UPDATE event_heads
    SET
        sending = sending[cardinality(sending) - (last_seq - reached.arrived) + 1:],
        retry_at = NULL
    FROM unnest(%(zones)s::text[], %(arrived)s::bigint[]) AS reached (zone_id, arrived)
    WHERE event_heads.zone_id = reached.zone_id
    RETURNING event_heads.zone_id
)
SELECT pg_notify('caracal_events', zone_id) FROM settled
