-- One edge and whether the caller's authority still stands. The edge is locked with
-- what falls with it, later; here it is only looked at. By primary key.
WITH
-- include: tokens/caller
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    e.issuer_application_id,
    (SELECT a.ancestor_ids || a.id::varchar FROM agent_sessions a WHERE a.id = e.source_session_id),
    e.status = 'active' AS active
FROM caller
LEFT JOIN delegation_edges e ON e.id = %(id)s AND e.zone_id = %(zone_id)s
