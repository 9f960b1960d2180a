-- The ledger's rows about a refusal; none when what was decided by stands no more.
WITH
-- include: tokens/held
,
allowed AS MATERIALIZED (SELECT FROM standing),
-- include: tokens/ledger
SELECT 1 FROM allowed
