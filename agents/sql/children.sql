-- A page of the children of one agent, newest first. Index: agent_sessions_children.
WITH
-- include: tokens/caller
,
page AS (
    SELECT a.*, row_number() OVER (ORDER BY a.id DESC) AS place
    FROM agent_sessions a
    WHERE a.zone_id = %(zone_id)s AND a.parent_id = %(parent_id)s /* where */
    ORDER BY a.id DESC
    LIMIT %(limit)s + 1
)
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    coalesce((
        SELECT json_agg(
            -- include: agents/child_json
            ORDER BY a.id DESC
        )
        FROM page a WHERE a.place <= %(limit)s
    ), '[]')::text AS items,
    (SELECT min(id) FROM page WHERE place <= %(limit)s) AS last_id,
    EXISTS (SELECT FROM page WHERE place > %(limit)s) AS more
FROM caller
