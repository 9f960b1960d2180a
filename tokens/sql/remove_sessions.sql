-- Which of these sessions go: those that ended before the time, and that no agent, ended
-- or not, and no other session was begun on. Live agents are found by the index of what
-- stands on a session. Ended ones have none, which every spawn would pay for: their ids
-- begin with the time they were spawned at, which was while the session lasted.
DELETE FROM sessions
WHERE
    sessions.id = ANY(%(ids)s::text[])
    AND sessions.status <> 'active'
    AND sessions.expires_at < %(before)s
    AND NOT EXISTS (
        SELECT FROM agent_sessions
        WHERE
            application_id = sessions.client_id
            AND subject_session_id = sessions.id
            AND terminated_at IS NULL
    )
    AND NOT EXISTS (
        SELECT FROM agent_sessions
        WHERE
            zone_id = %(zone_id)s
            AND id >= %(first_agent)s
            AND id < %(last_agent)s
            AND subject_session_id = sessions.id
    )
    AND NOT EXISTS (
        SELECT FROM sessions AS child WHERE child.parent_id = sessions.id
    )
