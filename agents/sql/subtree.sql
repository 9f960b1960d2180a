-- The agent and everything below it reached through agents of one status. Linear in the
-- subtree; index agent_sessions_children.
WITH RECURSIVE
-- include: agents/tree
SELECT id FROM tree ORDER BY id
