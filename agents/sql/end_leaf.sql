-- Ends one agent that nothing hangs on, gives back its place, and leaves the evidence. By
-- primary key; the zone's slot is taken before the application's, as in spawn.
WITH
ended AS (
    UPDATE agent_sessions SET
        status = 'terminated', termination_reason = %(reason)s, terminated_at = now(),
        transition = transition + 1, updated_at = now()
    WHERE id = %(id)s AND status IN ('active', 'suspended')
    RETURNING id
),
zone_room AS (
    UPDATE agent_capacity SET live = live - 1
    WHERE scope_id = %(zone_id)s AND slot = %(slot)s
    RETURNING 1
),
application_room AS (
    UPDATE agent_capacity SET live = live - 1
    WHERE scope_id = %(application_id)s AND slot = %(slot)s
        AND EXISTS (SELECT FROM zone_room)
),
evidence_patch AS (SELECT '{}'::jsonb AS members),
-- include: audit/evidence
SELECT count(*) AS ended FROM ended
