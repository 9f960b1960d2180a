json_build_object(
    'id', a.id,
    'zone_id', a.zone_id,
    'application_id', a.application_id,
    'endpoint_url', a.endpoint_url,
    'protocol_versions', a.protocol_versions,
    'framework_name', a.framework_name,
    'framework_version', a.framework_version,
    'capabilities', a.capabilities,
    -- What was not heard from within its lease is not well, whatever it said last.
    'health', CASE WHEN a.lease_expires_at > now() THEN a.health ELSE 'unhealthy' END,
    'metadata_json', a.metadata_json,
    'last_heartbeat_at', to_char(a.last_heartbeat_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
)
