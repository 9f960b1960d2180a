-- Resumes agents that are locked, compare-and-set, and leaves the evidence. By primary key.
WITH
woken AS (
    UPDATE agent_sessions SET
        status = 'active', transition = transition + 1, suspend_reason = NULL,
        updated_at = now()
    WHERE id = ANY (%(ids)s) AND status = 'suspended'
    RETURNING id
),
evidence_patch AS (SELECT '{}'::jsonb AS members),
-- include: audit/evidence
SELECT count(*) FROM woken
