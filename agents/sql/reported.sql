-- ``reported``: what a heartbeat says of the service record. By primary key.
reported AS (
    UPDATE agent_services s SET
        health = %(status)s, active_invocations = %(active_invocations)s,
        metadata_json = (s.metadata_json || %(metadata)s::jsonb) - %(dropped)s::text[],
        last_heartbeat_at = now(), updated_at = now(),
        lease_expires_at = now() + make_interval(secs => %(lease_seconds)s::integer)
    FROM renewed
    WHERE s.id = %(service_id)s::text AND s.zone_id = renewed.zone_id
        AND s.application_id = renewed.application_id AND s.deregistered_at IS NULL
    RETURNING s.*
)
