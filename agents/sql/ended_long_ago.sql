-- One batch of agents past their retention, youngest first: children are younger than their
-- parents. By primary key, as an id begins with the time it was made at: what lives long
-- and ended lately, or not at all, is passed over.
SELECT id
FROM agent_sessions
WHERE
    id < %(before)s
    AND terminated_at < now() - make_interval(days => %(days)s)
    AND id <> ALL (%(named)s::text[])
ORDER BY id DESC
LIMIT %(limit)s
