-- Starts the next attempt of a call and leaves the evidence, if the caller may, the machine
-- allows it and the sessions are live; else nothing. The sessions are locked against being
-- ended, before the call is, as everywhere. By primary key.
WITH
-- include: tokens/caller
,
sessions AS (
    SELECT a.id
    FROM agent_sessions a
    WHERE a.id = ANY (ARRAY(
            SELECT unnest(ARRAY[source_session_id, target_session_id])
            FROM agent_invocations WHERE id = %(id)s
        )) AND
        -- include: agents/invocations/usable_session
    ORDER BY a.id
    FOR SHARE
),
started AS (
    UPDATE agent_invocations i SET
        status = %(to)s, transition = i.transition + 1, attempts = i.attempts + 1,
        started_at = now(), completed_at = NULL, error_json = NULL, not_before_at = NULL,
        deadline_at = now() + i.timeout_ms * interval '1 millisecond',
        due_at = now() + i.timeout_ms * interval '1 millisecond', updated_at = now()
    FROM caller, agent_services s
    WHERE i.id = %(id)s AND i.zone_id = %(zone_id)s AND s.id = i.service_id
        AND caller.zone_live AND caller.identity_live AND caller.agent_live
        AND i.status = ANY (%(sources)s) AND i.attempts < i.max_attempts
        AND i.cancel_requested_at IS NULL AND (i.due_at IS NULL OR i.due_at > now())
        AND (i.not_before_at IS NULL OR i.not_before_at <= now())
        AND (
            i.source_session_id IS NULL
            OR EXISTS (SELECT FROM sessions WHERE id = i.source_session_id)
        )
        AND (
            i.target_session_id IS NULL
            OR EXISTS (SELECT FROM sessions WHERE id = i.target_session_id)
        )
        AND s.deregistered_at IS NULL AND
        -- include: agents/invocations/within_reach
    RETURNING i.*
),
moved AS (
    SELECT transition, jsonb_build_object('service_id', service_id) AS members
    FROM started
),
-- include: audit/evidence_of_moved
SELECT (
    SELECT
        -- include: agents/invocations/json
        ::text
    FROM started i
) AS invocation
