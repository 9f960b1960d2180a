-- The next rows without a place in their chain, chain by chain in order of position;
-- null is the platform's own chain. At most one batch, in the order of
-- admin_audit_unsealed.
SELECT
    id, request_id, actor_id, actor_name, actor_scope, action, method, path, zone_id,
    entity_type, entity_id, status_code, payload_json::text, occurred_at
FROM admin_audit_events
WHERE chain_seq IS NULL
ORDER BY zone_id, position
LIMIT %(limit)s
