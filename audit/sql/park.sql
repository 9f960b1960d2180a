-- Sets rows aside that can never be published as they are; they have no number yet.
UPDATE event_outbox
SET parked_at = now(), attempts = attempts + 1, last_error = poison.error
FROM unnest(%(ids)s::text[], %(errors)s::text[]) AS poison (id, error)
WHERE event_outbox.id = poison.id
