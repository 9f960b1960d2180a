-- The client of a token request and, when it is proven, what the request is judged by.
-- Nothing is locked: ``held`` looks again when something is written.
WITH
-- include: tokens/facts
SELECT known.*, now(), facts.* FROM known LEFT JOIN facts ON true
