-- The agents and edges that sessions and requests for approval name which are older than so
-- many days and can still be used: hardly any, as these live for hours. Asked once a run;
-- index sessions_expiring.
SELECT agent_session_id, delegation_edge_id
FROM sessions
WHERE
    status = 'active'
    AND expires_at > now()
    AND created_at < now() - make_interval(days => %(days)s)
    AND (agent_session_id IS NOT NULL OR delegation_edge_id IS NOT NULL)
UNION
SELECT agent_session_id, delegation_edge_id
FROM step_up_challenges
WHERE
    state IN ('pending', 'satisfied')
    AND created_at < now() - make_interval(days => %(days)s)
    AND (agent_session_id IS NOT NULL OR delegation_edge_id IS NOT NULL)
