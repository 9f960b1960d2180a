-- Deletes one batch of published rows past their age, oldest first by primary key: an
-- id begins with the time it was made at (RFC 9562, version 7), a day's room for clocks
-- apart. Pending and parked rows have no published_at.
DELETE FROM event_outbox
WHERE id IN (
    SELECT id
    FROM event_outbox
    WHERE
        published_at < now() - make_interval(days => %(days)s)
        AND id < %(before)s
    ORDER BY id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
