-- Whether who asked, and what a token would be bound to, is in force: by primary keys.
SELECT
    EXISTS (
        SELECT FROM applications
        WHERE
            id = %(application_id)s
            AND zone_id = %(zone_id)s
            AND archived_at IS NULL
            AND (expires_at IS NULL OR expires_at > now())
    ) AS application,
    %(session_id)s::text IS NULL OR EXISTS (
        SELECT FROM sessions
        WHERE
            id = %(session_id)s::text
            AND zone_id = %(zone_id)s
            AND status = 'active'
            AND expires_at > now()
    ) AS session,
    %(agent_id)s::text IS NULL OR EXISTS (
        SELECT FROM agent_sessions
        WHERE
            id = %(agent_id)s::text
            AND zone_id = %(zone_id)s
            AND
            -- include: tokens/agent_in_force
    ) AS agent,
    %(edge_id)s::text IS NULL OR EXISTS (
        SELECT FROM delegation_edges
        WHERE
            id = %(edge_id)s::text
            AND zone_id = %(zone_id)s
            AND status = 'active'
            AND expires_at > now()
    ) AS edge
