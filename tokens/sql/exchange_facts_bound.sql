-- ``exchange_facts``, with what the token is to be bound to.
WITH RECURSIVE
-- include: tokens/facts
,
-- include: tokens/lineage
SELECT known.*, now(), facts.*, bound.*
FROM known
LEFT JOIN facts ON true
LEFT JOIN bound ON facts.now_epoch IS NOT NULL
