-- Open calls of one zone that the platform has to move on, locked; those that somebody
-- moves right now are left to the next round. Index: agent_invocations_due.
SELECT id, service_id, status, transition, attempts < max_attempts AS is_retryable
FROM agent_invocations
WHERE zone_id = %(zone_id)s AND due_at <= now()
ORDER BY due_at
LIMIT %(limit)s
FOR NO KEY UPDATE SKIP LOCKED
