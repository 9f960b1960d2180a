-- ``issue`` for a token bound to an agent session and a delegation edge into it.
WITH
-- include: tokens/held
,
-- include: tokens/held_binding
,
allowed AS MATERIALIZED (SELECT FROM held_edge),
-- include: tokens/ledger
-- include: tokens/new_session
