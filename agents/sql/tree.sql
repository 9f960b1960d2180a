tree AS (
    SELECT id, child_count FROM agent_sessions
    WHERE id = %(id)s AND zone_id = %(zone_id)s AND status = %(status)s
    UNION ALL
    -- Most agents have no children and are not asked for any. OFFSET 0: one index probe
    -- an agent, whatever a plan made while the table was small would rather do.
    SELECT child.id, child.child_count FROM tree
    CROSS JOIN LATERAL (
        SELECT id, child_count FROM agent_sessions
        WHERE parent_id = tree.id AND status = %(status)s
        OFFSET 0
    ) AS child
    WHERE tree.child_count > 0
)
