-- Of calls i of services s: those the caller may work on.
(%(reaches_all)s OR s.application_id = ANY (%(applications)s))
AND (
    %(caller_agent)s::text IS NULL
    OR EXISTS (
        SELECT FROM agent_sessions t
        WHERE t.id = i.target_session_id
            AND (t.id = %(caller_agent)s OR %(caller_agent)s = ANY (t.ancestor_ids))
    )
)
