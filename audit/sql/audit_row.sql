INSERT INTO admin_audit_events (
    id, request_id, actor_id, actor_name, actor_scope, action, method, path,
    zone_id, entity_type, entity_id, status_code, payload_json
)
SELECT t.*
FROM jsonb_to_recordset(%(evidence_audit)s::jsonb) AS t (
    id text, request_id text, actor_id text, actor_name text, actor_scope text,
    action text, method text, path text, zone_id text, entity_type text,
    entity_id text, status_code integer, payload_json jsonb
)
