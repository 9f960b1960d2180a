-- The next sessions of a zone that were made before a time, oldest first; from the
-- listing's index, read backwards. Bounded by the limit.
SELECT id, created_at, expires_at
FROM sessions
WHERE
    zone_id = %(zone_id)s
    AND created_at < %(before)s
    AND (created_at, id) > (%(after_at)s::timestamptz, %(after_id)s)
ORDER BY created_at, id
LIMIT %(limit)s
