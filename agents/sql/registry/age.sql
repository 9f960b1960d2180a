-- Writes down that services past their lease are not well. One batch; those that report
-- right now are left alone. Scans the services, which are few beside what they do.
UPDATE agent_services SET health = 'unhealthy', active_invocations = 0, updated_at = now()
WHERE id IN (
    SELECT id FROM agent_services
    WHERE lease_expires_at <= now() AND health <> 'unhealthy' AND deregistered_at IS NULL
    LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
)
