-- moved(nth, key, members) of ``turned``, in id order but for the agent the gesture is about,
-- which leads. The statement around this defines turned(id, parent_id, transition).
moved AS (
    SELECT
        row_number() OVER () AS nth,
        id || ':' || transition AS key,
        jsonb_object(
            ARRAY['agent_session_id', 'parent_id'], ARRAY[id, parent_id]
        ) AS members
    FROM (SELECT * FROM turned ORDER BY id <> %(id)s, id) AS turned
)
