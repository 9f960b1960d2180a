-- The subject session, if it is in force and the caller's own. By primary key.
SELECT FROM sessions s
WHERE s.id = %(subject_session_id)s AND s.zone_id = %(zone_id)s
    AND s.status = 'active' AND s.expires_at > now()
    AND s.client_id = %(caller_client)s
