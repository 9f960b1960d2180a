-- Of calls a: what the caller's application takes part in (D11).
(
    %(sees_all)s
    OR a.application_id = %(caller_client)s
    OR EXISTS (
        SELECT FROM agent_services s
        WHERE s.id = a.service_id AND s.application_id = %(caller_client)s
    )
    OR EXISTS (
        SELECT FROM agent_sessions s
        WHERE s.id IN (a.source_session_id, a.target_session_id)
            AND s.application_id = %(caller_client)s
    )
)
