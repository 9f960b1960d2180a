-- Everything that could fall with the given edges and agents: edges made below an edge,
-- the target of an edge, the subtree of an agent and the edges from it. An upper bound;
-- the rules decide what of it really falls, which is why the live edges into every
-- agent reached come along. UNION keeps (kind, id) distinct, so the walk is linear in
-- what it reaches and needs no depth limit. Indexes: delegation_edges_lineage,
-- _outbound, _inbound and agent_sessions_children.
WITH RECURSIVE reach (kind, id) AS (
    (
        SELECT 'edge', e.id FROM delegation_edges e
        WHERE e.id = ANY (%(edge_ids)s) AND e.zone_id = %(zone_id)s AND e.status = 'active'
        UNION ALL
        SELECT 'agent', a.id FROM agent_sessions a
        WHERE a.id = ANY (%(agent_ids)s) AND a.zone_id = %(zone_id)s
            AND a.status IN ('active', 'suspended')
    )
    UNION
    SELECT next.kind, next.id
    FROM reach
    CROSS JOIN LATERAL (
        SELECT 'edge' AS kind, e.id FROM delegation_edges e
        WHERE reach.kind = 'edge' AND e.parent_edge_id = reach.id AND e.status = 'active'
        UNION ALL
        SELECT 'agent', a.id FROM delegation_edges e
        JOIN agent_sessions a
            ON a.id = e.target_session_id AND a.status IN ('active', 'suspended')
        WHERE reach.kind = 'edge' AND e.id = reach.id
        UNION ALL
        SELECT 'agent', a.id FROM agent_sessions a
        WHERE reach.kind = 'agent' AND a.parent_id = reach.id
            AND a.status IN ('active', 'suspended')
        UNION ALL
        SELECT 'edge', e.id FROM delegation_edges e
        WHERE reach.kind = 'agent' AND e.source_session_id = reach.id
            AND e.status = 'active'
    ) AS next
),
agents AS (
    SELECT a.id, a.parent_id, a.application_id, a.ancestor_ids, a.subject_session_id, a.depth,
        a.transition
    FROM reach JOIN agent_sessions a ON a.id = reach.id
    WHERE reach.kind = 'agent'
),
edges AS (
    SELECT id FROM reach WHERE kind = 'edge'
    UNION
    SELECT e.id FROM agents a
    JOIN delegation_edges e ON e.target_session_id = a.id AND e.status = 'active'
)
SELECT
    coalesce((
        SELECT json_agg(json_build_array(
            a.id, a.parent_id, a.application_id, a.ancestor_ids, a.subject_session_id,
            a.transition
        ) ORDER BY a.id) FROM agents a
    ), '[]')::text AS agents,
    coalesce((
        SELECT json_agg(json_build_array(
            e.id, e.source_session_id, e.target_session_id, e.parent_edge_id,
            e.issuer_application_id, e.expires_at > now()
        ) ORDER BY e.id) FROM edges JOIN delegation_edges e ON e.id = edges.id
    ), '[]')::text AS edges,
    coalesce((
        SELECT json_agg(json_build_array(i.id, i.source_session_id, i.target_session_id))
        FROM agent_invocations i
        WHERE i.zone_id = %(zone_id)s
            AND i.status IN ('pending', 'running', 'cancel_requested')
            AND (i.source_session_id IN (SELECT id FROM agents)
                OR i.target_session_id IN (SELECT id FROM agents))
    ), '[]')::text AS invocations
