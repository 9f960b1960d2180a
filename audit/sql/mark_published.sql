-- Bounded by one batch; rows by primary key.
UPDATE event_outbox
SET published_at = now(), last_error = NULL
FROM unnest(%(ids)s::text[]) AS done (id)
WHERE event_outbox.id = done.id
