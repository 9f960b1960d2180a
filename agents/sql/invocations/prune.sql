-- Deletes one batch of calls that ended before their retention, oldest first by primary key:
-- an id begins with the time it was made at. Nothing names a call.
DELETE FROM agent_invocations
WHERE id IN (
    SELECT id
    FROM agent_invocations
    WHERE
        id < %(before)s
        AND due_at IS NULL
        AND coalesce(completed_at, updated_at) < now() - make_interval(days => %(days)s)
    ORDER BY id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
