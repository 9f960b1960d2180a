-- Deletes one batch of published rows past their age, oldest first by
-- event_outbox_published. Pending and parked rows have no published_at.
DELETE FROM event_outbox
WHERE id IN (
    SELECT id
    FROM event_outbox
    WHERE published_at < now() - make_interval(days => %(days)s)
    ORDER BY published_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
