-- What a token is to be bound to.
WITH RECURSIVE
-- include: tokens/lineage
SELECT agent, edge FROM bound
