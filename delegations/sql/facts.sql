-- Everything the rules of delegation ask, in one row. Nothing is locked: the statement that
-- writes looks at what this rests on again. Indexes: primary keys,
-- resources_identifier_live_key and gateway_bindings_resource_key.
WITH
-- include: tokens/caller
,
ends AS (
    SELECT
        id, application_id, narrowed, ancestor_ids,
        status = 'active'
        AND (expires_at IS NULL OR expires_at > now())
        AND (lifecycle <> 'service' OR heartbeat_deadline_at > now()) AS usable
    FROM agent_sessions
    WHERE id IN (%(source_id)s, %(target_id)s) AND zone_id = %(zone_id)s
),
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
        'source', (SELECT row_to_json(ends) FROM ends WHERE id = %(source_id)s),
        'target', (SELECT row_to_json(ends) FROM ends WHERE id = %(target_id)s),
        'resources', (
            SELECT coalesce(json_agg(named ORDER BY identifier), '[]') FROM named
        )
    )::text AS facts
FROM caller
