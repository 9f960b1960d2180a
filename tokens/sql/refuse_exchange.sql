WITH
-- include: tokens/ledger
SELECT 1
WHERE
-- include: tokens/policies_stand
