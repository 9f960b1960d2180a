-- An agent and its live inbound edges with the identifiers of their resources. Indexes:
-- delegation_edges_inbound and the primary keys.
WITH
-- include: tokens/caller
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    (
        SELECT a.narrowed FROM agent_sessions a
        WHERE a.id = %(id)s AND a.zone_id = %(zone_id)s AND
            -- include: agents/visible
    ) AS narrowed,
    coalesce((
        SELECT json_agg(json_build_object(
            'id', e.id,
            'scopes', e.scopes,
            'resource_id', e.resource_id,
            'resource_identifiers', (
                SELECT coalesce(json_agg(DISTINCT named.identifier), '[]')
                FROM (
                    SELECT r.identifier FROM resources r WHERE r.id = e.resource_id
                    UNION ALL
                    SELECT jsonb_array_elements_text(
                        coalesce(e.constraints_json -> 'resources', '[]'))
                ) AS named (identifier)
            ),
            'max_hops', e.max_hops,
            'ttl_seconds', (e.constraints_json -> 'ttl_seconds')::integer,
            'expires_at', to_char(e.expires_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
        ) ORDER BY e.id)
        FROM delegation_edges e
        WHERE e.target_session_id = %(id)s AND e.zone_id = %(zone_id)s
            AND e.status = 'active' AND e.expires_at > now()
    ), '[]')::text AS edges
FROM caller
