-- One call the caller may see, by primary key.
WITH
-- include: tokens/caller
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    (
        SELECT
            -- include: agents/invocations/json
            ::text
        FROM agent_invocations i
        JOIN agent_invocations a ON a.id = i.id
        WHERE i.id = %(id)s AND i.zone_id = %(zone_id)s AND
            -- include: agents/invocations/visible
    ) AS invocation
FROM caller
