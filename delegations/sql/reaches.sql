-- Whether authority flows from one session to another over live edges, and whether any
-- leaves the first at all. UNION visits each session once, so this is linear and needs no depth
-- limit. Index: delegation_edges_outbound.
WITH RECURSIVE reached (id) AS (
    SELECT %(from_id)s::text COLLATE "C"
    UNION
    SELECT e.target_session_id
    FROM reached
    JOIN delegation_edges e ON e.source_session_id = reached.id
        AND e.status = 'active' AND e.expires_at > now()
)
SELECT
    coalesce(bool_or(id = %(to_id)s), false) AS reaches,
    count(*) > 1 AS leads_anywhere
FROM reached
