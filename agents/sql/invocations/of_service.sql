-- The open calls of some services, locked. Index: agent_invocations_due, all that is open.
SELECT id, service_id, status, transition, false AS is_retryable
FROM agent_invocations
WHERE service_id = ANY (%(service_ids)s) AND due_at IS NOT NULL
ORDER BY id
FOR NO KEY UPDATE
