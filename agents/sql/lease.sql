-- An agent with its parent, locked from the top down, with what the rules of its lease ask,
-- and whether the caller's authority still stands. By primary key.
WITH
-- include: tokens/caller
,
locked AS (
    SELECT * FROM agent_sessions
    WHERE
        zone_id = %(zone_id)s
        AND (
            id = %(id)s
            OR id = (SELECT a.parent_id FROM agent_sessions a WHERE a.id = %(id)s)
        )
    ORDER BY id
    FOR NO KEY UPDATE
)
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    (
        SELECT json_build_object(
            'application_id', a.application_id, 'status', a.status,
            'ancestor_ids', a.ancestor_ids, 'suspend_reason', a.suspend_reason,
            'is_over', coalesce(a.expires_at <= now(), false),
            'is_service', a.lifecycle = 'service',
            'is_lapsed', a.lifecycle = 'service' AND a.heartbeat_deadline_at <= now(),
            'generation', a.transition / 2 + 1,
            'has_parent_active', NOT EXISTS (
                SELECT FROM locked p WHERE p.id <> a.id AND p.status <> 'active'
            ),
            'has_service', EXISTS (
                SELECT FROM agent_services s
                WHERE s.id = %(service_id)s::text AND s.zone_id = a.zone_id
                    AND s.application_id = a.application_id AND s.deregistered_at IS NULL
            ),
            'fits', NOT EXISTS (
                SELECT FROM agent_services s
                WHERE s.id = %(service_id)s::text AND NOT
                    -- include: agents/report_fits
            )
        )::text
        FROM locked a WHERE a.id = %(id)s
    ) AS agent
FROM caller
