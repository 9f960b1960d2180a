-- The agent and everything below it reached through agents of one status, locked in id order
-- and as they are then. What came to hang on them before they were locked is for the next
-- round. Linear in the subtree; index agent_sessions_children and the primary key.
WITH RECURSIVE
-- include: agents/tree
,
held AS (
    SELECT id FROM agent_sessions
    WHERE id = ANY (ARRAY(SELECT id FROM tree)) AND status = %(status)s
    ORDER BY id
    FOR NO KEY UPDATE
)
-- As text, which goes back as it came.
SELECT array_agg(id)::text, count(*) FROM held
