-- One ledger row for the failures of a source in a zone and minute; none when the zone
-- does not exist. The id is made of these (a UUIDv7 of the minute), so the second one
-- meets the first in the primary key and nothing is searched.
WITH minute AS (
    SELECT
        lpad(
            to_hex((extract(epoch FROM date_trunc('minute', now())) * 1000)::bigint),
            12, '0'
        ) AS stamp,
        encode(
            sha256(convert_to(%(zone_id)s || '|' || %(source)s || '|' || %(reason)s, 'UTF8')),
            'hex'
        ) AS hash
)
INSERT INTO audit_events (
    id, zone_id, event_type, request_id, decision, evaluation_status,
    determining_policies_json, diagnostics_json, metadata_json
)
SELECT
    concat_ws(
        '-',
        substr(stamp, 1, 8), substr(stamp, 9, 4),
        '7' || substr(hash, 1, 3), '8' || substr(hash, 4, 3), substr(hash, 7, 12)
    ),
    zones.id, 'token_exchange', %(request_id)s, 'deny', %(reason)s,
    '[]', jsonb_build_array(jsonb_build_object('reason', %(reason)s::text)),
    %(metadata)s::jsonb
FROM minute, zones
WHERE zones.id = %(zone_id)s
ON CONFLICT DO NOTHING
