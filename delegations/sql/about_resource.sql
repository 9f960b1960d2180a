-- The zone's active edges about one resource and, besides it, about none that is live: what has
-- no object left once it is gone. Bounded by the active edges of the zone, which the index
-- delegation_edges_active lists; the live resources are found by primary key and identifier.
SELECT e.id
FROM delegation_edges e
WHERE
    e.zone_id = %(zone_id)s
    AND e.status = 'active'
    AND (
        e.resource_id = %(resource_id)s
        OR e.constraints_json -> 'resources' @> to_jsonb(%(identifier)s::text)
    )
    AND NOT EXISTS (
        SELECT FROM resources r
        WHERE
            r.zone_id = e.zone_id
            AND r.id <> %(resource_id)s
            AND r.archived_at IS NULL
            AND (
                r.id = e.resource_id
                OR r.identifier IN (
                    SELECT jsonb_array_elements_text(
                        coalesce(e.constraints_json -> 'resources', '[]')
                    )
                )
            )
    )
ORDER BY e.id
