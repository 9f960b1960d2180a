-- A page of edges, newest first. Indexes: delegation_edges_inbound and _outbound.
WITH
-- include: tokens/caller
,
page AS (
    SELECT a.*, row_number() OVER (ORDER BY a.id DESC) AS place
    FROM delegation_edges a
    WHERE a.zone_id = %(zone_id)s /* where */
        AND
        -- include: delegations/visible
    ORDER BY a.id DESC
    LIMIT %(limit)s + 1
)
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    coalesce((
        SELECT json_agg(json_build_object(
            -- include: delegations/edge_json
            
        ) ORDER BY a.id DESC)
        FROM page a WHERE a.place <= %(limit)s
    ), '[]')::text AS items,
    (SELECT min(id) FROM page WHERE place <= %(limit)s) AS last_id,
    EXISTS (SELECT FROM page WHERE place > %(limit)s) AS more
FROM caller
