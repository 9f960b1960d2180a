-- A call, locked, with what the rules of its moves ask, and whether the caller's authority
-- still stands. By primary key.
WITH
-- include: tokens/caller
,
locked AS (
    SELECT * FROM agent_invocations
    WHERE id = %(id)s AND zone_id = %(zone_id)s
    FOR NO KEY UPDATE
)
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    (
        SELECT json_build_object(
            'status', i.status, 'transition', i.transition, 'attempts', i.attempts,
            'max_attempts', i.max_attempts, 'service_id', i.service_id,
            'application_id', i.application_id,
            'is_cancel_requested', i.cancel_requested_at IS NOT NULL,
            'is_overdue', i.due_at <= now(),
            'wait_seconds', extract(epoch FROM i.not_before_at - now())::float8,
            'service_application_id', s.application_id,
            'is_registered', s.deregistered_at IS NULL,
            'sessions', (
                SELECT coalesce(
                    json_object_agg(a.id, json_build_object(
                        'application_id', a.application_id,
                        'ancestor_ids', a.ancestor_ids,
                        'is_live',
                        -- include: agents/invocations/usable_session
                    )), '{}'
                )
                FROM agent_sessions a
                WHERE a.id IN (i.source_session_id, i.target_session_id)
            ),
            'source_session_id', i.source_session_id,
            'target_session_id', i.target_session_id
        )::text
        FROM locked i JOIN agent_services s ON s.id = i.service_id
    ) AS invocation
FROM caller
