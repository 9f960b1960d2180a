-- The session behind a token and the ledger's rows about it: both, or neither when what
-- was decided by stands no more.
WITH
-- include: tokens/held
,
allowed AS MATERIALIZED (SELECT FROM standing),
-- include: tokens/ledger
-- include: tokens/new_session
