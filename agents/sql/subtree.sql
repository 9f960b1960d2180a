-- The agent and everything below it reached through agents of one status. Linear in the
-- subtree; index agent_sessions_children.
WITH RECURSIVE tree AS (
    SELECT id, parent_id, transition FROM agent_sessions
    WHERE id = %(id)s AND zone_id = %(zone_id)s AND status = %(status)s
    UNION ALL
    SELECT a.id, a.parent_id, a.transition FROM tree
    JOIN agent_sessions a ON a.parent_id = tree.id AND a.status = %(status)s
)
SELECT id, parent_id, transition FROM tree ORDER BY id
