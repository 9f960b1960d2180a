-- Locks agents against change. Ids grow with time, so parents are locked before children
-- everywhere. By primary key.
SELECT FROM agent_sessions WHERE id = ANY (%(ids)s) ORDER BY id FOR NO KEY UPDATE
