-- Live agents of one zone past their time, oldest first. Index: agent_sessions_expiring.
SELECT id FROM agent_sessions
WHERE
    zone_id = %(zone_id)s AND terminated_at IS NULL
    AND expires_at <= now()
ORDER BY expires_at
LIMIT %(limit)s
