json_build_object(
    -- include: agents/agent_members
)
