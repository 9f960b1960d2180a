-- A registered service, locked against new calls, and whether the caller's authority still
-- stands. By primary key.
WITH
-- include: tokens/caller
,
locked AS (
    SELECT application_id FROM agent_services
    WHERE id = %(id)s AND zone_id = %(zone_id)s AND deregistered_at IS NULL
    FOR UPDATE
)
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    locked.application_id
FROM caller LEFT JOIN locked ON true
