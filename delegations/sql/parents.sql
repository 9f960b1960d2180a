-- The live edges into the source of a delegation, which is locked. Indexes:
-- delegation_edges_inbound and the keys of resources.
SELECT coalesce(json_agg(json_build_object(
    'id', e.id, 'root_edge_id', e.root_edge_id, 'depth', e.depth,
    'max_hops', e.max_hops, 'resource_id', e.resource_id, 'scopes', e.scopes,
    'constraints_json', e.constraints_json, 'expires_at', e.expires_at,
    'resource_ids', (
        SELECT coalesce(json_agg(r.id), '[]') FROM resources r
        WHERE r.zone_id = %(zone_id)s AND r.archived_at IS NULL
            AND (r.id = e.resource_id OR r.identifier IN (
                SELECT jsonb_array_elements_text(
                    coalesce(e.constraints_json -> 'resources', '[]'))
            ))
    )
) ORDER BY e.id), '[]')::text AS parents
FROM delegation_edges e
WHERE e.target_session_id = %(source_id)s AND e.status = 'active'
    AND e.expires_at > now()
