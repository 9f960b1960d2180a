-- One agent with its parent, locked from the top down, and whether the caller's authority
-- still stands. By primary key.
WITH
-- include: tokens/caller
,
locked AS (
    SELECT id, parent_id, application_id, status, lifecycle, ancestor_ids,
        subject_session_id, transition
    FROM agent_sessions
    WHERE
        zone_id = %(zone_id)s
        AND (
            id = %(id)s
            OR id = (SELECT a.parent_id FROM agent_sessions a WHERE a.id = %(id)s)
        )
    ORDER BY id
    FOR NO KEY UPDATE
)
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    (
        SELECT (
            to_jsonb(agent) || jsonb_build_object(
                'parent_status', (SELECT status FROM locked WHERE id <> %(id)s)
            )
        )::text
        FROM locked agent WHERE id = %(id)s
    ) AS agent
FROM caller
