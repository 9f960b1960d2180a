-- Deletes those of these agents that ended and have no child. What another worker removes
-- right now is left to it. By primary key and agent_sessions_children.
DELETE FROM agent_sessions
WHERE id IN (
    SELECT agent.id
    FROM agent_sessions AS agent
    WHERE
        agent.id = ANY (%(ids)s::text[])
        AND agent.terminated_at IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM agent_sessions AS child WHERE child.parent_id = agent.id
        )
    ORDER BY agent.id
    FOR UPDATE OF agent SKIP LOCKED
)
