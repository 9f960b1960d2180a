-- Resumes agents that are locked, compare-and-set, and leaves the evidence. By primary key.
WITH
turned AS (
    UPDATE agent_sessions SET
        status = 'active', transition = transition + 1, suspend_reason = NULL,
        updated_at = now()
    WHERE id = ANY (%(ids)s) AND status = 'suspended'
    RETURNING id, parent_id, transition
),
-- include: agents/turned
,
-- include: audit/evidence_of_each
SELECT count(*) FROM turned
