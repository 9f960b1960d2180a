-- A heartbeat that reports on a service record as well.
WITH
-- include: tokens/caller
,
-- include: agents/renewed
,
-- include: agents/reported
SELECT
    (
        SELECT
            -- include: agents/heartbeat_agent
            ::text
        FROM renewed a
    ) AS agent,
    (
        SELECT
            -- include: agents/registry/json
            ::text
        FROM reported a
    ) AS service
