-- The agent and everything below it that rests because a lease ran out, without services
-- that were not heard from themselves. Linear in what rests; index agent_sessions_children.
WITH RECURSIVE tree AS (
    SELECT id FROM agent_sessions
    WHERE id = %(id)s AND status = 'suspended' AND suspend_reason = %(reason)s
    UNION ALL
    SELECT a.id FROM tree
    JOIN agent_sessions a
        ON a.parent_id = tree.id AND a.status = 'suspended'
        AND a.suspend_reason = %(reason)s
        AND (a.lifecycle <> 'service' OR a.heartbeat_deadline_at > now())
)
SELECT id FROM tree ORDER BY id
