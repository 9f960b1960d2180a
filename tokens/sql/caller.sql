caller AS (
    -- Whether the caller's authority still stands: always one row. Each part reads at
    -- most one row by its primary key. A caller without a client (the operator) is
    -- only asked for its zone. A token bound to an edge must be bound to that edge's
    -- target as well.
    SELECT
        EXISTS (
            SELECT FROM zones
            WHERE id = %(caller_zone)s::text AND archived_at IS NULL
        ) AS zone_live,
        %(caller_client)s::text IS NULL OR (
            EXISTS (
                SELECT FROM applications
                WHERE
                    id = %(caller_client)s::text
                    AND zone_id = %(caller_zone)s::text
                    AND archived_at IS NULL
                    AND (expires_at IS NULL OR expires_at > now())
            )
            AND (
                %(caller_session)s::text IS NULL
                OR EXISTS (
                    SELECT FROM sessions
                    WHERE
                        id = %(caller_session)s::text
                        AND zone_id = %(caller_zone)s::text
                        AND client_id = %(caller_client)s::text
                        AND status = 'active'
                        AND expires_at > now()
                )
            )
            AND (
                %(caller_key)s::text IS NULL
                OR EXISTS (
                    SELECT FROM signing_keys
                    WHERE
                        id = %(caller_key)s::text
                        AND zone_id = %(caller_zone)s::text
                        AND state <> 'withdrawn'
                )
            )
        ) AS identity_live,
        (
            %(caller_agent)s::text IS NULL
            OR EXISTS (
                SELECT FROM agent_sessions
                WHERE
                    id = %(caller_agent)s::text
                    AND zone_id = %(caller_zone)s::text
                    AND application_id = %(caller_client)s::text
                    AND
                    -- include: tokens/agent_in_force
            )
        )
        AND (
            %(caller_edge)s::text IS NULL
            OR EXISTS (
                SELECT FROM delegation_edges
                WHERE
                    id = %(caller_edge)s::text
                    AND zone_id = %(caller_zone)s::text
                    AND target_session_id = %(caller_agent)s::text
                    AND status = 'active'
                    AND expires_at > now()
            )
        ) AS agent_live
)
