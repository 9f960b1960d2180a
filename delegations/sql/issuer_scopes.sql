-- Every scope of the resources that an application fronts, for a broad edge. Indexes:
-- gateway_bindings_resource_key and resources_identifier_live_key.
SELECT coalesce(json_agg(DISTINCT scope), '[]')::text AS scopes
FROM gateway_resource_bindings b
JOIN resources r ON r.zone_id = b.zone_id AND r.archived_at IS NULL
    AND r.identifier = b.resource_identifier
CROSS JOIN LATERAL unnest(r.scopes) AS scope
WHERE b.zone_id = %(zone_id)s AND b.application_id = %(issuer)s
