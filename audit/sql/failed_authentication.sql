-- One row for the failures of a source at a door in a minute. The id is made of these
-- (a UUIDv7 of the minute), so the second one meets the first in the primary key and
-- nothing is searched. Bounds: one row.
WITH minute AS (
    SELECT
        lpad(
            to_hex((extract(epoch FROM date_trunc('minute', now())) * 1000)::bigint),
            12, '0'
        ) AS stamp,
        encode(sha256(convert_to(%(subject)s, 'UTF8')), 'hex') AS hash
)
INSERT INTO admin_audit_events (
    id, request_id, actor_id, actor_name, actor_scope, action, method, path,
    zone_id, entity_type, entity_id, status_code, payload_json
)
SELECT
    concat_ws(
        '-',
        substr(stamp, 1, 8), substr(stamp, 9, 4),
        '7' || substr(hash, 1, 3), '8' || substr(hash, 4, 3), substr(hash, 7, 12)
    ),
    request_id, NULL, NULL, NULL, action, method, path,
    NULL, entity_type, entity_id, status_code, payload_json
FROM minute, jsonb_to_recordset(%(evidence_audit)s::jsonb) AS t (
    request_id text, action text, method text, path text,
    entity_type text, entity_id text, status_code integer, payload_json jsonb
)
ON CONFLICT DO NOTHING
