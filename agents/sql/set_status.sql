-- Moves agents from one live status to another, compare-and-set, and leaves the
-- evidence. A resumed service starts a fresh lease. By primary key.
WITH
changed AS (
    UPDATE agent_sessions SET
        status = %(status)s, transition = transition + 1, updated_at = now(),
        suspend_reason = %(reason)s,
        heartbeat_deadline_at = CASE
            WHEN %(status)s = 'active' AND lifecycle = 'service'
                THEN now() + make_interval(secs => %(lease_seconds)s::integer)
            ELSE heartbeat_deadline_at
        END
    WHERE id = ANY (%(ids)s) AND status = %(was)s
    RETURNING id
),
evidence_patch AS (SELECT '{}'::jsonb AS members),
-- include: audit/evidence
SELECT count(*) FROM changed
