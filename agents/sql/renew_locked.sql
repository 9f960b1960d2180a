-- Notes the heartbeat of an agent that is locked and was looked at, with what it says of
-- its service record, if anything. By primary key.
WITH
renewed AS (
    UPDATE agent_sessions a SET
        last_active_at = now(), last_heartbeat_at = now(),
        heartbeat_deadline_at = CASE WHEN a.lifecycle = 'service'
            THEN now() + make_interval(secs => %(lease_seconds)s::integer) END
    WHERE a.id = %(id)s
    RETURNING a.*
),
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
