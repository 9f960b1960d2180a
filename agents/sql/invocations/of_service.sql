-- The open calls of one service, locked. Index: agent_invocations_due, all that is open.
SELECT id, service_id, status, transition, false AS is_retryable
FROM agent_invocations
WHERE service_id = %(service_id)s AND due_at IS NOT NULL
ORDER BY id
FOR NO KEY UPDATE
