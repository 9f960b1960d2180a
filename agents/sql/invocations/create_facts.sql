-- What the rules of a new call ask: the caller, the service, the live sessions among those
-- named, and the call that has the caller's key already. By primary key and by
-- agent_invocations_idempotency_key.
WITH
-- include: tokens/caller
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    (
        SELECT s.application_id FROM agent_services s
        WHERE s.id = %(service_id)s AND s.zone_id = %(zone_id)s AND
            -- include: agents/invocations/callable_service
    ) AS service_application_id,
    (
        SELECT coalesce(
            json_object_agg(a.id, json_build_object(
                'application_id', a.application_id, 'ancestor_ids', a.ancestor_ids
            )), '{}'
        )::text
        FROM agent_sessions a
        WHERE a.id = ANY (%(session_ids)s) AND a.zone_id = %(zone_id)s AND
            -- include: agents/invocations/usable_session
    ) AS sessions,
    existing.fingerprint, existing.invocation
FROM caller
LEFT JOIN (
    SELECT
        i.fingerprint,
        -- include: agents/invocations/json
        ::text AS invocation
    FROM agent_invocations i
    WHERE i.service_id = %(service_id)s AND i.zone_id = %(zone_id)s
        AND i.application_id = %(application_id)s
        AND i.idempotency_key = %(idempotency_key)s
) AS existing ON true
