(
    -- What the caller's application takes part in (D11): its own agents, those above
    -- or below them, and those at the other end of its delegations.
    %(sees_all)s
    OR a.application_id = %(caller_client)s
    OR EXISTS (
        SELECT FROM agent_sessions p
        WHERE p.id = a.parent_id AND p.application_id = %(caller_client)s
    )
    OR EXISTS (
        SELECT FROM delegation_edges e
        WHERE e.target_session_id = a.id AND e.issuer_application_id = %(caller_client)s
    )
    OR EXISTS (
        SELECT FROM delegation_edges e
        WHERE e.source_session_id = a.id AND e.receiver_application_id = %(caller_client)s
    )
)
