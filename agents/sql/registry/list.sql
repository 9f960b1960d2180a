-- A page of the zone's agent services, newest first. Index: agent_services_listing.
WITH
-- include: tokens/caller
,
page AS (
    SELECT a.*, row_number() OVER (ORDER BY a.id DESC) AS place
    FROM agent_services a
    WHERE a.zone_id = %(zone_id)s AND a.deregistered_at IS NULL
        AND (%(sees_all)s OR a.application_id = %(caller_client)s) /* where */
    ORDER BY a.id DESC
    LIMIT %(limit)s + 1
)
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    coalesce((
        SELECT json_agg(
            -- include: agents/registry/json
            ORDER BY a.id DESC)
        FROM page a WHERE a.place <= %(limit)s
    ), '[]')::text AS items,
    (SELECT min(id) FROM page WHERE place <= %(limit)s) AS last_id,
    EXISTS (SELECT FROM page WHERE place > %(limit)s) AS more
FROM caller
