-- A page of the zone's invocations, newest first. Index: agent_invocations_listing.
WITH
-- include: tokens/caller
,
page AS (
    SELECT a.*, row_number() OVER (ORDER BY a.id DESC) AS place
    FROM agent_invocations a
    WHERE a.zone_id = %(zone_id)s AND
        -- include: agents/invocations/visible
        /* where */
    ORDER BY a.id DESC
    LIMIT %(limit)s + 1
)
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    coalesce((
        SELECT json_agg(json_build_object(
            'id', a.id,
            'zone_id', a.zone_id,
            'service_id', a.service_id,
            'source_session_id', a.source_session_id,
            'target_session_id', a.target_session_id,
            'method', a.method,
            'status', a.status,
            'attempts', a.attempts,
            'max_attempts', a.max_attempts,
            'timeout_ms', a.timeout_ms,
            'deadline_at', to_char(a.deadline_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'started_at', to_char(a.started_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'completed_at', to_char(a.completed_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'created_at', to_char(a.created_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
        ) ORDER BY a.id DESC)
        FROM page a WHERE a.place <= %(limit)s
    ), '[]')::text AS items,
    (SELECT min(id) FROM page WHERE place <= %(limit)s) AS last_id,
    EXISTS (SELECT FROM page WHERE place > %(limit)s) AS more
FROM caller
