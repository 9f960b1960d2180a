-- One agent the caller may see, by primary key.
WITH
-- include: tokens/caller
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    (
        SELECT
            -- include: agents/agent_json
            ::text
        FROM agent_sessions a
        WHERE a.id = %(id)s AND a.zone_id = %(zone_id)s AND
            -- include: agents/visible
    ) AS agent
FROM caller
