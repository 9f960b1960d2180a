SELECT
    -- The agent the gesture was about leads.
    row_number() OVER (ORDER BY id <> %(id)s, id) AS nth,
    id || ':' || transition AS key,
    jsonb_build_object('agent_session_id', id, 'parent_id', parent_id) AS members
