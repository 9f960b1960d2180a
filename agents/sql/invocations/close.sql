-- Moves locked calls to where the platform ends them, and leaves the evidence. One that
-- may be tried again waits as long as its caller said. By primary key.
WITH
closed AS (
    UPDATE agent_invocations i SET
        status = t.status, transition = i.transition + 1, completed_at = now(),
        error_json = jsonb_build_object('reason', t.reason), due_at = NULL,
        updated_at = now(),
        not_before_at = CASE WHEN t.status = 'failed'
            THEN now() + (i.retry_policy_json ->> 'backoff_ms')::integer
                * interval '1 millisecond'
        END
    FROM unnest(%(ids)s::text[], %(statuses)s::text[], %(reasons)s::text[])
        AS t (id, status, reason)
    WHERE i.id = t.id AND i.due_at IS NOT NULL
    RETURNING i.id
),
evidence_patch AS (SELECT '{}'::jsonb AS members),
-- include: audit/evidence
SELECT count(*) FROM closed
