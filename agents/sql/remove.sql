-- Deletes those of these agents that ended and that no agent, delegation or call names. What
-- another worker removes right now is left to it. By primary key, agent_sessions_children,
-- delegation_edges_outbound and _inbound, agent_invocations_by_source and _by_target.
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
        AND NOT EXISTS (
            SELECT FROM delegation_edges WHERE source_session_id = agent.id
        )
        AND NOT EXISTS (
            SELECT FROM delegation_edges WHERE target_session_id = agent.id
        )
        AND NOT EXISTS (
            SELECT FROM agent_invocations WHERE source_session_id = agent.id
        )
        AND NOT EXISTS (
            SELECT FROM agent_invocations WHERE target_session_id = agent.id
        )
    ORDER BY agent.id
    FOR UPDATE OF agent SKIP LOCKED
)
