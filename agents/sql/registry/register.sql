-- Registers an endpoint, or says anew what it is; its health and lease are what they were.
-- By agent_services_endpoint_key.
WITH
registered AS (
    INSERT INTO agent_services (
        id, zone_id, application_id, endpoint_url, protocol_versions, framework_name,
        framework_version, capabilities, health, metadata_json, last_heartbeat_at,
        lease_expires_at
    )
    VALUES (
        %(id)s, %(zone_id)s, %(application_id)s, %(endpoint_url)s,
        %(protocol_versions)s::text[], %(framework_name)s, %(framework_version)s,
        %(capabilities)s::text[], 'starting', %(metadata)s::jsonb, now(),
        now() + make_interval(secs => %(lease_seconds)s::integer)
    )
    ON CONFLICT (zone_id, application_id, endpoint_url) WHERE deregistered_at IS NULL
    DO UPDATE SET
        protocol_versions = excluded.protocol_versions,
        framework_name = excluded.framework_name,
        framework_version = excluded.framework_version,
        capabilities = excluded.capabilities,
        metadata_json = excluded.metadata_json,
        updated_at = now()
    RETURNING *
),
evidence_patch AS (SELECT '{}'::jsonb AS members),
-- include: audit/evidence
SELECT
    a.id,
    -- include: agents/registry/json
    ::text AS service
FROM registered a
