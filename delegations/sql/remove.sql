-- Deletes those of these edges that ended and that no edge is below. What another worker
-- removes right now is left to it. By primary key and delegation_edges_lineage.
DELETE FROM delegation_edges
WHERE id IN (
    SELECT edge.id
    FROM delegation_edges AS edge
    WHERE
        edge.id = ANY (%(ids)s::text[])
        AND edge.status <> 'active'
        AND NOT EXISTS (
            SELECT FROM delegation_edges AS below WHERE below.parent_edge_id = edge.id
        )
    ORDER BY edge.id
    FOR UPDATE OF edge SKIP LOCKED
)
