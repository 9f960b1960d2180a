-- One batch of agents past their retention that no delegation and no call names, youngest
-- first: children are younger than their parents. By primary key, as an id begins with the
-- time it was made at; what is passed over lives long or is still named. Indexes:
-- delegation_edges_outbound and _inbound, agent_invocations_by_source and _by_target.
SELECT id
FROM agent_sessions
WHERE
    id < %(before)s
    AND terminated_at < now() - make_interval(days => %(days)s)
    AND id <> ALL (%(named)s::text[])
    AND NOT EXISTS (
        SELECT FROM delegation_edges WHERE source_session_id = agent_sessions.id
    )
    AND NOT EXISTS (
        SELECT FROM delegation_edges WHERE target_session_id = agent_sessions.id
    )
    AND NOT EXISTS (
        SELECT FROM agent_invocations WHERE source_session_id = agent_sessions.id
    )
    AND NOT EXISTS (
        SELECT FROM agent_invocations WHERE target_session_id = agent_sessions.id
    )
ORDER BY id DESC
LIMIT %(limit)s
