agent AS (
    -- The agent session a token is to be bound to, and the delegation edge into it with
    -- its lineage from the root; null where they are not in force or not the
    -- application's. Every edge on the way up, found by primary key, must be in force,
    -- and so must every agent that passed it on.
    SELECT id, lifecycle, labels, depth, parent_id, expires_at
    FROM agent_sessions
    WHERE
        id = %(agent_session_id)s::text
        AND zone_id = %(zone_id)s::text
        AND application_id = %(application_id)s::text
        AND
        -- include: tokens/agent_in_force
),
edge AS (
    SELECT *
    FROM delegation_edges
    WHERE
        id = %(delegation_edge_id)s::text
        AND zone_id = %(zone_id)s::text
        AND target_session_id = %(agent_session_id)s::text
        AND receiver_application_id = %(application_id)s::text
        AND status = 'active'
        AND expires_at > now()
),
lineage AS (
    SELECT
        id, parent_edge_id, source_session_id, issuer_application_id, depth, expires_at
    FROM edge
    UNION ALL
    SELECT
        above.id, above.parent_edge_id, above.source_session_id,
        above.issuer_application_id, above.depth, above.expires_at
    FROM lineage
    INNER JOIN delegation_edges AS above
        ON
            above.id = lineage.parent_edge_id
            AND above.target_session_id = lineage.source_session_id
            AND above.status = 'active'
            AND above.expires_at > now()
),
path AS (
    SELECT
        count(*) AS links,
        json_agg(
            json_build_object(
                'id', lineage.id,
                'source_session_id', lineage.source_session_id,
                'issuer_application_id', lineage.issuer_application_id
            )
            ORDER BY lineage.depth
        ) AS from_root,
        min(least(lineage.expires_at, source.expires_at)) AS ends_at
    FROM lineage
    INNER JOIN LATERAL (
        SELECT expires_at FROM agent_sessions
        WHERE
            id = lineage.source_session_id
            AND application_id = lineage.issuer_application_id
            AND
            -- include: tokens/agent_in_force
    ) AS source ON true
),
bound AS (
    SELECT
        (
            SELECT json_build_object(
                'id', id, 'lifecycle', lifecycle, 'labels', labels, 'depth', depth,
                'parent_id', parent_id, 'ends_at', extract(epoch FROM expires_at)
            )::text
            FROM agent
        ) AS agent,
        (
            SELECT json_build_object(
                'id', edge.id,
                'source_session_id', edge.source_session_id,
                'target_session_id', edge.target_session_id,
                'issuer_application_id', edge.issuer_application_id,
                'receiver_application_id', edge.receiver_application_id,
                'resource_id', edge.resource_id,
                'scopes', edge.scopes,
                'edge_version', edge.edge_version,
                'graph_epoch', coalesce(
                    (
                        SELECT epoch FROM delegation_graph_epochs
                        WHERE zone_id = %(zone_id)s::text
                    ),
                    0
                ),
                'constraints_json', edge.constraints_json,
                'path', path.from_root,
                'ends_at', extract(epoch FROM path.ends_at)
            )::text
            FROM edge, path
            WHERE path.links = edge.depth + 1
        ) AS edge
)
