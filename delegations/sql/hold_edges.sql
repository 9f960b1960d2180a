-- Locks edges against change, in id order as agents are. By primary key.
SELECT FROM delegation_edges WHERE id = ANY (%(ids)s) ORDER BY id FOR NO KEY UPDATE
