json_build_object(
    'agent_session_id', a.id,
    'zone_id', a.zone_id,
    'application_id', a.application_id,
    'parent_id', a.parent_id,
    'subject_session_id', a.subject_session_id,
    'lifecycle', a.lifecycle,
    'labels', a.labels,
    'status', a.status,
    'depth', a.depth,
    'ttl_seconds', a.ttl_seconds,
    'metadata', a.metadata_json,
    'spawned_at', to_char(a.spawned_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'terminated_at', to_char(a.terminated_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'termination_reason', a.termination_reason,
    'last_heartbeat_at', to_char(a.last_heartbeat_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'heartbeat_deadline_at', to_char(a.heartbeat_deadline_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
)
