WITH
-- include: tokens/ledger
SELECT 1
