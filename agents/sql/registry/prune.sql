-- Deletes one batch of services deregistered before their retention that no call names,
-- oldest first by primary key: an id begins with the time it was made at. Index:
-- agent_invocations_by_service.
DELETE FROM agent_services
WHERE id IN (
    SELECT id
    FROM agent_services
    WHERE
        id < %(before)s
        AND deregistered_at < now() - make_interval(days => %(days)s)
        AND NOT EXISTS (
            SELECT FROM agent_invocations WHERE service_id = agent_services.id
        )
    ORDER BY id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
