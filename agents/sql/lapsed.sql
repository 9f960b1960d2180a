-- Active services of one zone past their lease, in id order from one id on. Index:
-- agent_sessions_leased, all live services of the zone.
SELECT id FROM agent_sessions
WHERE zone_id = %(zone_id)s AND id > %(after)s AND lifecycle = 'service'
    AND terminated_at IS NULL AND status = 'active' AND heartbeat_deadline_at <= now()
ORDER BY id
LIMIT %(limit)s
