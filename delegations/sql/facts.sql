-- Everything the rules of delegation ask, in one row. Source and target are locked in id
-- order, the source shared and the target exclusively, so that neither can end meanwhile; what
-- hangs on them is looked at again by the statement that writes. Indexes: primary keys,
-- resources_identifier_live_key, gateway_bindings_resource_key, delegation_edges_inbound
-- and _outbound.
WITH
-- include: tokens/caller
,
source_first AS (
    SELECT * FROM agent_sessions
    WHERE id = %(source_id)s AND zone_id = %(zone_id)s AND %(source_id)s < %(target_id)s
    FOR SHARE
),
target AS (
    SELECT * FROM agent_sessions
    WHERE id = %(target_id)s AND zone_id = %(zone_id)s
        AND (SELECT count(*) FROM source_first) >= 0
    FOR NO KEY UPDATE
),
source_last AS (
    SELECT * FROM agent_sessions
    WHERE id = %(source_id)s AND zone_id = %(zone_id)s AND %(source_id)s > %(target_id)s
        AND (SELECT count(*) FROM target) >= 0
    FOR SHARE
),
source AS (SELECT * FROM source_first UNION ALL SELECT * FROM source_last),
named AS (
    SELECT r.id, r.identifier, r.scopes, b.application_id AS owner
    FROM resources r
    LEFT JOIN gateway_resource_bindings b
        ON b.zone_id = r.zone_id AND b.resource_identifier = r.identifier
    WHERE r.zone_id = %(zone_id)s AND r.archived_at IS NULL
        AND (r.id = %(resource)s OR r.identifier = %(resource)s
            OR r.identifier = ANY (%(identifiers)s))
)
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    now() AS at,
    json_build_object(
        'source', (
            SELECT json_build_object(
                'application_id', s.application_id, 'narrowed', s.narrowed,
                'ancestor_ids', s.ancestor_ids,
                'usable', s.status = 'active'
                    AND (s.expires_at IS NULL OR s.expires_at > now())
                    AND (s.lifecycle <> 'service' OR s.heartbeat_deadline_at > now())
            ) FROM source s
        ),
        'target', (
            SELECT json_build_object(
                'application_id', t.application_id,
                'usable', t.status = 'active'
                    AND (t.expires_at IS NULL OR t.expires_at > now())
                    AND (t.lifecycle <> 'service' OR t.heartbeat_deadline_at > now())
            ) FROM target t
        ),
        'resources', (
            SELECT coalesce(json_agg(json_build_object(
                'id', n.id, 'identifier', n.identifier, 'scopes', n.scopes, 'owner', n.owner
            ) ORDER BY n.identifier), '[]') FROM named n
        )
    )::text AS facts
FROM caller
