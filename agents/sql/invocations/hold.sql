-- Locks open calls against being moved on. By primary key.
SELECT FROM agent_invocations WHERE id = ANY (%(ids)s) ORDER BY id FOR NO KEY UPDATE
