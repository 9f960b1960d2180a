-- Inserts an edge if what it rests on still stands, narrows its target for life, bumps
-- the epoch, and leaves the evidence: all or nothing. Both ends and the parent edge are
-- locked and looked at again; when one has changed no edge comes about, and the division
-- by zero at the end undoes the statement. By primary key.
WITH
-- include: delegations/held
,
above AS (
    SELECT id FROM delegation_edges
    WHERE id = %(parent_edge_id)s AND status = 'active' AND expires_at > now()
    FOR SHARE
),
edge AS (
    INSERT INTO delegation_edges (
        id, zone_id, source_session_id, target_session_id, issuer_application_id,
        receiver_application_id, parent_edge_id, root_edge_id, depth, max_hops,
        resource_id, scopes, constraints_json, status, expires_at, edge_version, created_at
    )
    SELECT
        %(id)s, %(zone_id)s, source.id, target.id, %(issuer)s, %(receiver)s,
        %(parent_edge_id)s, %(root_edge_id)s, %(depth)s, %(max_hops)s, %(resource_id)s,
        %(scopes)s::text[], %(constraints)s::jsonb, 'active', %(expires_at)s, 0, %(created_at)s
    FROM source, target
    WHERE source.narrowed = %(narrowed)s
        AND (%(parent_edge_id)s::text IS NULL OR EXISTS (SELECT FROM above))
    RETURNING id
),
narrowed AS (
    UPDATE agent_sessions SET narrowed = true
    WHERE id IN (SELECT id FROM target WHERE NOT narrowed) AND EXISTS (SELECT FROM edge)
),
epoch AS (
    INSERT INTO delegation_graph_epochs AS current (zone_id, epoch)
    SELECT %(zone_id)s, 1 FROM edge
    ON CONFLICT (zone_id) DO UPDATE SET epoch = current.epoch + 1, updated_at = now()
    RETURNING epoch
),
evidence_patch AS (
    SELECT jsonb_build_object('epoch', (SELECT epoch FROM epoch)) AS members
),
-- include: audit/evidence
SELECT 1 / (SELECT count(*) FROM edge) AS created
