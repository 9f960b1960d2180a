-- One registered service the caller may see, by primary key.
WITH
-- include: tokens/caller
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    (
        SELECT
            -- include: agents/registry/json
            ::text
        FROM agent_services a
        WHERE a.id = %(id)s AND a.zone_id = %(zone_id)s AND a.deregistered_at IS NULL
            AND (%(sees_all)s OR a.application_id = %(caller_client)s)
    ) AS service
FROM caller
