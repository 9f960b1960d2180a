json_build_object(
    -- include: agents/agent_members
    ,
    'terminated_at', to_char(a.terminated_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'termination_reason', a.termination_reason
)
