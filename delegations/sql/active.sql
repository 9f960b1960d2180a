-- A page of the zone's edges in force, newest first. Index: delegation_edges_active.
WITH
-- include: tokens/caller
,
page AS (
    SELECT a.*, row_number() OVER (ORDER BY a.id DESC) AS place
    FROM delegation_edges a
    WHERE a.zone_id = %(zone_id)s AND a.status = 'active' AND a.expires_at > now() /* where */
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
            ,
            'broad_reason', a.constraints_json ->> 'broad_reason'
        ) ORDER BY a.id DESC)
        FROM page a WHERE a.place <= %(limit)s
    ), '[]')::text AS items,
    (SELECT min(id) FROM page WHERE place <= %(limit)s) AS last_id,
    EXISTS (SELECT FROM page WHERE place > %(limit)s) AS more
FROM caller
