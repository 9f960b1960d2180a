-- Bounded by the sessions that end. The zone's part of sessions_subject or the
-- client's index finds the first ones, the parent's index their descendants; rows are
-- locked in id order, so that two revocations never wait for each other in a circle.
WITH RECURSIVE chosen AS (
    SELECT id
    FROM sessions
    WHERE
        zone_id = %(zone_id)s
        AND status = 'active'
        AND (%(client_ids)s::text[] IS NULL OR client_id = ANY(%(client_ids)s::text[]))
    UNION
    SELECT child.id
    FROM sessions AS child
    INNER JOIN chosen ON child.parent_id = chosen.id
),
locked AS (
    SELECT id
    FROM sessions
    WHERE id IN (SELECT id FROM chosen) AND status = 'active'
    ORDER BY id
    FOR UPDATE
)
UPDATE sessions
SET status = 'revoked', revoked_at = now(), revoked_reason = %(reason)s
FROM locked
WHERE sessions.id = locked.id
RETURNING sessions.id
