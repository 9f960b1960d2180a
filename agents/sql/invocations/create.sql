-- Makes a call and leaves the evidence, if the caller's authority stands and reaches, the
-- service can be called, its sessions are live, and the caller's key is new; else nothing.
-- The sessions are locked against being ended, the service against being deregistered.
-- Everything by primary key.
WITH
-- include: tokens/caller
,
sessions AS (
    SELECT a.id, a.application_id, a.ancestor_ids
    FROM agent_sessions a
    WHERE a.id = ANY (%(session_ids)s::text[]) AND a.zone_id = %(zone_id)s::text AND
        -- include: agents/invocations/usable_session
    ORDER BY a.id
    FOR SHARE
),
service AS (
    SELECT s.id, s.application_id
    FROM agent_services s
    WHERE s.id = %(service_id)s::text AND s.zone_id = %(zone_id)s::text AND
        -- include: agents/invocations/callable_service
    FOR KEY SHARE
),
made AS (
    INSERT INTO agent_invocations (
        id, zone_id, application_id, service_id, source_session_id, target_session_id,
        idempotency_key, fingerprint, method, params_json, metadata_json, status,
        attempts, max_attempts, timeout_ms, retry_policy_json, due_at, created_at
    )
    SELECT
        %(id)s::text, %(zone_id)s::text, %(application_id)s::text, service.id, %(source_session_id)s::text,
        %(target_session_id)s::text, %(idempotency_key)s::text, %(fingerprint)s::text, %(method)s::text,
        %(params)s::jsonb, %(metadata)s::jsonb, %(status)s::text, 0,
        (%(retry_policy)s::jsonb ->> 'max_attempts')::integer, %(timeout_ms)s::integer,
        %(retry_policy)s::jsonb, now() + make_interval(secs => %(queue_seconds)s::integer),
        now()
    FROM caller, service
    WHERE caller.zone_live AND caller.identity_live AND caller.agent_live
        AND (SELECT count(*) FROM sessions) = cardinality(%(session_ids)s::text[])
        AND (
            %(reaches_all)s::boolean
            OR coalesce(
                (SELECT application_id FROM sessions WHERE id = %(source_session_id)s::text),
                service.application_id
            ) = ANY (%(applications)s::text[])
        )
        AND (
            %(caller_agent)s::text IS NULL
            OR EXISTS (
                SELECT FROM sessions
                WHERE id = %(source_session_id)s::text
                    AND (id = %(caller_agent)s::text OR %(caller_agent)s::text = ANY (ancestor_ids))
            )
        )
    ON CONFLICT (service_id, application_id, idempotency_key) DO NOTHING
    RETURNING *
),
moved AS (SELECT NULL::integer AS transition, '{}'::jsonb AS members FROM made),
-- include: audit/evidence_of_moved
SELECT (
    SELECT
        -- include: agents/invocations/json
        ::text
    FROM made i
) AS invocation
