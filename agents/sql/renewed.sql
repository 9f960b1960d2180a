-- ``renewed``: the lease of an agent that is active and in its time, if the caller's
-- authority stands and reaches it; else nothing. No column of an index is written. By
-- primary key.
renewed AS (
    UPDATE agent_sessions a SET
        last_active_at = now(), last_heartbeat_at = now(),
        heartbeat_deadline_at = CASE WHEN a.lifecycle = 'service'
            THEN now() + make_interval(secs => %(lease_seconds)s::integer) END
    FROM caller
    WHERE a.id = %(id)s AND a.zone_id = %(zone_id)s
        AND caller.zone_live AND caller.identity_live AND caller.agent_live
        AND a.status = 'active'
        AND (a.expires_at IS NULL OR a.expires_at > now())
        AND (a.lifecycle <> 'service' OR a.heartbeat_deadline_at > now())
        AND (%(reaches_all)s OR a.application_id = ANY (%(applications)s))
        AND (
            %(bound)s::text IS NULL OR a.id = %(bound)s::text
            OR %(bound)s::text = ANY (a.ancestor_ids)
        )
        AND (
            %(generation)s::integer IS NULL OR a.lifecycle <> 'service'
            OR a.transition / 2 + 1 = %(generation)s::integer
        )
        AND (
            %(service_id)s::text IS NULL
            OR EXISTS (
                SELECT FROM agent_services s
                WHERE s.id = %(service_id)s::text AND s.zone_id = a.zone_id
                    AND s.application_id = a.application_id AND s.deregistered_at IS NULL AND
                    -- include: agents/report_fits
            )
        )
    RETURNING a.*
)
