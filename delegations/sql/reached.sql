-- For statements that include this: ``answer``, one row, one round of everything that could fall with the given edges and agents: the edges made
-- below an edge, their targets, and the edges from and to each of these agents. What the
-- next round starts from: the agents' children, and edges that leave an agent without being
-- ``expanded`` here. An upper bound; the rules decide what of it really falls, which is why
-- the live edges into every agent come along. The walk goes down trees, so it is linear,
-- and everything else is a few index scans for all agents together. Indexes: primary keys,
-- delegation_edges_lineage, _outbound, _inbound, agent_sessions_children,
-- agent_invocations_by_source and _by_target.
lineage AS (
    SELECT id, target_session_id FROM delegation_edges
    WHERE id = ANY (%(edge_ids)s) AND zone_id = %(zone_id)s AND status = 'active'
    UNION
    SELECT e.id, e.target_session_id
    FROM lineage JOIN delegation_edges e
        ON e.parent_edge_id = lineage.id AND e.status = 'active'
),
agents AS (
    SELECT id, parent_id, application_id, ancestor_ids, subject_session_id, transition
    FROM agent_sessions
    WHERE id = ANY (
            %(agent_ids)s::text[] || ARRAY(SELECT target_session_id FROM lineage)
        )
        AND zone_id = %(zone_id)s AND status IN ('active', 'suspended')
),
reached AS (SELECT ARRAY(SELECT id FROM agents) AS ids),
edges AS (
    SELECT id FROM lineage
    UNION
    SELECT id FROM delegation_edges
    WHERE target_session_id = ANY ((SELECT ids FROM reached)::text[]) AND status = 'active'
    UNION
    SELECT id FROM delegation_edges
    WHERE source_session_id = ANY ((SELECT ids FROM reached)::text[]) AND status = 'active'
),
agent_columns AS (
    SELECT array_agg(id) AS ids, array_agg(parent_id) AS parents,
        array_agg(application_id) AS applications,
        array_agg(array_to_string(ancestor_ids, ',')) AS ancestors,
        array_agg(subject_session_id) AS subjects, array_agg(transition) AS transitions
    FROM agents
),
edge_columns AS (
    SELECT array_agg(id) AS ids, array_agg(source_session_id) AS sources,
        array_agg(target_session_id) AS targets, array_agg(parent_edge_id) AS parents,
        array_agg(issuer_application_id) AS issuers,
        array_agg(expires_at > now()) AS justify
    FROM delegation_edges WHERE id = ANY (ARRAY(SELECT id FROM edges))
),
answer AS (
    SELECT
        a.ids, a.parents, a.applications, a.ancestors, a.subjects, a.transitions,
        e.ids, e.sources, e.targets, e.parents, e.issuers, e.justify,
        ARRAY(SELECT id FROM lineage) AS expanded,
        ARRAY(
            SELECT id FROM agent_sessions
            WHERE parent_id = ANY ((SELECT ids FROM reached)::text[])
                AND status IN ('active', 'suspended')
        ) AS children,
        (
            SELECT coalesce(json_agg(json_build_array(
                id, source_session_id, target_session_id, service_id, status, transition
            ) ORDER BY id), '[]')::text
            FROM (
                SELECT id, source_session_id, target_session_id, service_id, status, transition
                FROM agent_invocations
                WHERE source_session_id = ANY ((SELECT ids FROM reached)::text[])
                    AND due_at IS NOT NULL
                UNION
                SELECT id, source_session_id, target_session_id, service_id, status, transition
                FROM agent_invocations
                WHERE target_session_id = ANY ((SELECT ids FROM reached)::text[])
                    AND due_at IS NOT NULL
            ) AS calls
        ) AS invocations
    FROM agent_columns a, edge_columns e
)
