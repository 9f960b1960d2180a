-- A heartbeat that says nothing of a service record: one update in place.
WITH
-- include: tokens/caller
,
-- include: agents/renewed
SELECT
    (
        SELECT
            -- include: agents/heartbeat_agent
            ::text
        FROM renewed a
    ) AS agent,
    NULL::text AS service
