-- Inserts an edge if what it rests on still stands, narrows its target for life, bumps
-- the epoch, and leaves the evidence. By primary key; the parent edge is locked shared
-- and looked at again, which a revocation in between would have ended.
WITH
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
        %(id)s, %(zone_id)s, %(source_id)s, %(target_id)s, %(issuer)s, %(receiver)s,
        %(parent_edge_id)s, %(root_edge_id)s, %(depth)s, %(max_hops)s, %(resource_id)s,
        %(scopes)s::text[], %(constraints)s::jsonb, 'active', %(expires_at)s, 0, now()
    WHERE %(parent_edge_id)s::text IS NULL OR EXISTS (SELECT FROM above)
    RETURNING id
),
narrowed AS (
    UPDATE agent_sessions SET narrowed = true
    WHERE id = %(target_id)s AND NOT narrowed AND EXISTS (SELECT FROM edge)
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
SELECT EXISTS (SELECT FROM edge) AS created
