-- Ends the attempt that runs and leaves the evidence, if the caller may, the machine allows
-- it, and it is the attempt the caller means; else nothing. By primary key.
WITH
-- include: tokens/caller
,
completed AS (
    UPDATE agent_invocations i SET
        status = %(to)s, transition = i.transition + 1, completed_at = now(),
        error_json = %(error)s::jsonb, metadata_json = i.metadata_json || %(metadata)s::jsonb,
        due_at = NULL, updated_at = now(),
        not_before_at = CASE
            WHEN %(is_failure)s AND i.attempts < i.max_attempts
                AND i.cancel_requested_at IS NULL
            THEN now() + (i.retry_policy_json ->> 'backoff_ms')::integer
                * interval '1 millisecond'
        END
    FROM caller, agent_services s
    WHERE i.id = %(id)s AND i.zone_id = %(zone_id)s AND s.id = i.service_id
        AND caller.zone_live AND caller.identity_live AND caller.agent_live
        AND i.status = ANY (%(sources)s)
        AND (%(attempt)s::integer IS NULL OR i.attempts = %(attempt)s::integer) AND
        -- include: agents/invocations/within_reach
    RETURNING i.*
),
moved AS (
    SELECT transition, jsonb_build_object('service_id', service_id) AS members
    FROM completed
),
-- include: audit/evidence_of_moved
SELECT (
    SELECT
        -- include: agents/invocations/json
        ::text
    FROM completed i
) AS invocation
