held_agent AS (
    -- What the token is bound to: its end waits for the token, or this statement for
    -- the end. What an edge rests on ends it with itself.
    SELECT agent_sessions.id
    FROM standing
    INNER JOIN agent_sessions ON agent_sessions.id = %(agent_session_id)s::text
    WHERE
        -- include: tokens/agent_in_force
    FOR SHARE OF agent_sessions
),
held_edge AS (
    SELECT delegation_edges.id
    FROM held_agent
    INNER JOIN delegation_edges
        ON
            delegation_edges.id = %(delegation_edge_id)s::text
            AND delegation_edges.target_session_id = held_agent.id
    WHERE
        delegation_edges.status = 'active'
        AND delegation_edges.expires_at > now()
    FOR SHARE OF delegation_edges
)
