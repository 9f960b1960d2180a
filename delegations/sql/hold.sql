-- Locks both ends of a delegation in id order, the source shared and the target
-- exclusively, so that neither can end and no edge can leave the target meanwhile. By
-- primary key.
WITH
-- include: delegations/held
SELECT (SELECT count(*) FROM source) + (SELECT count(*) FROM target) AS held
