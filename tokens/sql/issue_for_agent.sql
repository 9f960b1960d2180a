-- ``issue`` for a token bound to an agent session.
WITH
-- include: tokens/held
,
-- include: tokens/held_binding
,
allowed AS MATERIALIZED (SELECT FROM held_agent),
-- include: tokens/ledger
-- include: tokens/new_session
