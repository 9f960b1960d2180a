-- Every live edge reachable from one, itself included: the edges that leave its target,
-- and so on. UNION keeps edges distinct, so the walk is linear in what it reaches and needs no
-- depth limit. Index: delegation_edges_outbound.
WITH RECURSIVE
-- include: tokens/caller
,
walk (id, source_session_id, target_session_id) AS (
    SELECT a.id, a.source_session_id, a.target_session_id
    FROM delegation_edges a
    WHERE a.id = %(id)s AND a.zone_id = %(zone_id)s
        AND a.status = 'active' AND a.expires_at > now()
        AND
        -- include: delegations/visible
    UNION
    SELECT e.id, e.source_session_id, e.target_session_id
    FROM walk
    JOIN delegation_edges e ON e.source_session_id = walk.target_session_id
        AND e.status = 'active' AND e.expires_at > now()
)
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    coalesce((
        SELECT json_agg(json_build_array(id, source_session_id, target_session_id))
        FROM walk
    ), '[]')::text AS links
FROM caller
