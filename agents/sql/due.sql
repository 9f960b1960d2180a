-- Live agents of one zone past their time, oldest first. Index: agent_sessions_expiring.
SELECT id FROM agent_sessions
WHERE
    zone_id = %(zone_id)s AND status IN ('active', 'suspended')
    AND expires_at IS NOT NULL AND expires_at <= now()
ORDER BY expires_at
LIMIT %(limit)s
