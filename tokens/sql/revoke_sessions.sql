WITH RECURSIVE
-- include: tokens/falling_sessions
,
-- include: tokens/end_chosen
