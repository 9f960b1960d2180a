json_build_object(
    'id', a.id,
    'zone_id', a.zone_id,
    'application_id', a.application_id,
    'status', a.status,
    -- A lease is renewed until its agent rests; each time it goes on, it has another one.
    'generation', CASE WHEN a.lifecycle = 'service' THEN a.transition / 2 + 1 END,
    'last_active_at', to_char(a.last_active_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'last_heartbeat_at', to_char(a.last_heartbeat_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'heartbeat_deadline_at', to_char(a.heartbeat_deadline_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
)
