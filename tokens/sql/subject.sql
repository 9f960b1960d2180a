-- Until when the session of a subject token stands, and of what kind it is: found by
-- primary keys. The share lock makes its revocation wait for what is about to be issued
-- under it, or this statement for the revocation: then no row comes.
SELECT extract(epoch FROM sessions.expires_at), sessions.session_type
FROM sessions
WHERE
    sessions.id = %(sid)s
    AND sessions.zone_id = %(zone_id)s
    AND sessions.client_id = %(client_id)s
    AND sessions.subject_id = %(sub)s
    AND sessions.status = 'active'
    AND sessions.expires_at > now()
    AND EXISTS (
        SELECT FROM signing_keys
        WHERE
            id = %(key_id)s
            AND zone_id = %(zone_id)s
            AND state <> 'withdrawn'
    )
FOR SHARE OF sessions
