-- One live child more, or one less, of an agent that is locked. By primary key.
UPDATE agent_sessions SET child_count = greatest(child_count + %(change)s, 0)
WHERE id = %(id)s
