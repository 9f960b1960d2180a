-- The zone's active sessions of these clients, or of all (NULL), with their descendants;
-- with a subject only those of that user.
-- Bounded by the sessions that end: the zone's part of sessions_subject or the client's
-- index finds the first ones, the parent's index their descendants.
chosen AS (
    SELECT id
    FROM sessions
    WHERE
        zone_id = %(zone_id)s
        AND status = 'active'
        AND (%(client_ids)s::text[] IS NULL OR client_id = ANY(%(client_ids)s::text[]))
        AND (
            %(user_id)s::text IS NULL
            OR (subject_id = %(user_id)s::text AND session_type = 'user')
        )
    UNION
    SELECT child.id
    FROM sessions AS child
    INNER JOIN chosen ON child.parent_id = chosen.id
)
