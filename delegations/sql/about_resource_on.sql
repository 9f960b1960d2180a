-- The zone's active edges over a resource, alone or among others, that agents on these authority
-- sessions gave or got. Bounded by the active edges of the zone, which the index
-- delegation_edges_active lists; agents are found by primary key.
SELECT e.id
FROM delegation_edges e
WHERE
    e.zone_id = %(zone_id)s
    AND e.status = 'active'
    AND (
        e.resource_id = %(resource_id)s
        OR e.constraints_json -> 'resources' @> to_jsonb(%(identifier)s::text)
    )
    AND EXISTS (
        SELECT FROM agent_sessions a
        WHERE
            a.id IN (e.source_session_id, e.target_session_id)
            AND a.subject_session_id = ANY(%(session_ids)s::text[])
    )
ORDER BY e.id
