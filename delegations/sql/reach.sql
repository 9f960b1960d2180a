-- One round of everything that could fall with the given edges and agents.
WITH RECURSIVE
-- include: delegations/reached
SELECT * FROM answer
