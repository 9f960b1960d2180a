(
    -- Whether the caller takes part in what the event is about: as the rows that it
    -- names may be read, so may the news of them.
    %(sees_all)s
    OR page.payload_json ->> 'application_id' = %(caller_client)s
    OR EXISTS (
        SELECT FROM agent_sessions a
        WHERE
            a.id = page.payload_json ->> 'agent_session_id'
            AND
            -- include: agents/visible
    )
    OR EXISTS (
        SELECT FROM delegation_edges a
        WHERE
            a.id IN (
                page.payload_json ->> 'edge_id',
                page.payload_json ->> 'delegation_edge_id'
            )
            AND
            -- include: delegations/visible
    )
    OR EXISTS (
        SELECT FROM delegation_edges a
        WHERE
            a.id IN (
                SELECT jsonb_array_elements_text(
                    CASE jsonb_typeof(page.payload_json -> 'edge_ids')
                        WHEN 'array' THEN page.payload_json -> 'edge_ids'
                        ELSE '[]'
                    END
                )
            )
            AND
            -- include: delegations/visible
    )
    OR EXISTS (
        SELECT FROM sessions
        WHERE
            id = page.payload_json ->> 'session_id'
            AND client_id = %(caller_client)s
    )
    OR EXISTS (
        SELECT FROM agent_services
        WHERE
            id = page.payload_json ->> 'service_id'
            AND application_id = %(caller_client)s
    )
    OR EXISTS (
        SELECT FROM agent_invocations i
        JOIN agent_sessions s ON s.id IN (i.source_session_id, i.target_session_id)
        WHERE
            i.id = page.payload_json ->> 'invocation_id'
            AND s.application_id = %(caller_client)s
    )
)
