-- Asks for the end of a call that is locked, or ends it, and leaves the evidence. One that
-- runs is given until its deadline or so many seconds, whichever is less. By primary key.
WITH
canceled AS (
    UPDATE agent_invocations i SET
        status = %(to)s, transition = i.transition + 1, cancel_requested_at = now(),
        metadata_json = i.metadata_json || %(metadata)s::jsonb, updated_at = now(),
        completed_at = CASE WHEN %(is_final)s THEN now() END,
        due_at = CASE WHEN NOT %(is_final)s THEN least(
            i.due_at, now() + make_interval(secs => %(cancel_seconds)s::integer)
        ) END
    WHERE i.id = %(id)s
    RETURNING i.*
),
evidence_patch AS (SELECT '{}'::jsonb AS members),
-- include: audit/evidence
SELECT
    -- include: agents/invocations/json
    ::text AS invocation
FROM canceled i
