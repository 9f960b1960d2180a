-- Kept nodes of a zone's tree: ``spans`` of places at a level, level 0 being the leaves
-- by their content. Two index ranges a span at most.
SELECT span.nth, 0 AS level, link.seq - 1 AS place, link.content AS hash
FROM unnest(%(levels)s::int[], %(starts)s::bigint[], %(ends)s::bigint[])
    WITH ORDINALITY AS span (level, starts, ends, nth)
JOIN audit_links AS link
    ON
        link.zone_id = %(zone_id)s
        AND link.seq > span.starts AND link.seq <= span.ends
WHERE span.level = 0
UNION ALL
SELECT span.nth, node.level, node.place, node.hash
FROM unnest(%(levels)s::int[], %(starts)s::bigint[], %(ends)s::bigint[])
    WITH ORDINALITY AS span (level, starts, ends, nth)
JOIN audit_tree_nodes AS node
    ON
        node.zone_id = %(zone_id)s AND node.level = span.level
        AND node.place >= span.starts AND node.place < span.ends
WHERE span.level > 0
ORDER BY nth, place
