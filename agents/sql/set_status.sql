-- Moves a locked subtree from one live status to another, compare-and-set, and leaves the
-- evidence: nothing at all when something of the old status hangs on it that is not among
-- these, which came before its parent was locked. A resumed service starts a fresh lease.
-- By primary key and agent_sessions_children.
WITH
whole AS (
    SELECT WHERE NOT EXISTS (
        SELECT FROM agent_sessions
        WHERE parent_id = ANY (%(ids)s::text[]) AND status = %(was)s
            AND id <> ALL (%(ids)s::text[])
    )
),
turned AS (
    UPDATE agent_sessions SET
        status = %(status)s, transition = transition + 1, updated_at = now(),
        suspend_reason = %(reason)s,
        heartbeat_deadline_at = CASE
            WHEN %(status)s = 'active' AND lifecycle = 'service'
                THEN now() + make_interval(secs => %(lease_seconds)s::integer)
            ELSE heartbeat_deadline_at
        END
    WHERE id = ANY (%(ids)s::text[]) AND status = %(was)s AND EXISTS (SELECT FROM whole)
    RETURNING id, parent_id, transition
),
-- include: agents/turned
,
-- include: audit/evidence_of_each
SELECT count(*) FROM turned
