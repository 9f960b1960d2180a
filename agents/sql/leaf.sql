-- Whether anything hangs on an agent: children, edges, open invocations. The agent is
-- locked, so nothing more can come to hang on it. Indexes: agent_sessions_children,
-- delegation_edges_inbound and _outbound, agent_invocations_by_source and _by_target.
SELECT NOT (
    EXISTS (
        SELECT FROM agent_sessions
        WHERE parent_id = %(id)s AND status IN ('active', 'suspended')
    )
    OR EXISTS (
        SELECT FROM delegation_edges WHERE target_session_id = %(id)s AND status = 'active'
    )
    OR EXISTS (
        SELECT FROM delegation_edges WHERE source_session_id = %(id)s AND status = 'active'
    )
    OR EXISTS (
        SELECT FROM agent_invocations WHERE source_session_id = %(id)s AND due_at IS NOT NULL
    )
    OR EXISTS (
        SELECT FROM agent_invocations WHERE target_session_id = %(id)s AND due_at IS NOT NULL
    )
) AS is_leaf
