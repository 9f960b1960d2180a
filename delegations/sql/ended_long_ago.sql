-- One batch of edges past their retention, youngest first: what is below an edge is younger
-- than it. Index: delegation_edges_ended; an id begins with the time it was made at, so
-- what lived long and ended lately is all that is passed over.
SELECT id
FROM delegation_edges
WHERE
    status <> 'active'
    AND id < %(before)s
    AND coalesce(revoked_at, expires_at) < now() - make_interval(days => %(days)s)
    AND id <> ALL (%(named)s::text[])
ORDER BY id DESC
LIMIT %(limit)s
