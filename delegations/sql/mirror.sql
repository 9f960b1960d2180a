-- Repeats a live edge into a new child of its target, one hop shorter. The parent edge
-- is locked and looked at again: a revocation that came first leaves nothing to repeat.
WITH
above AS (
    SELECT id, root_edge_id, depth, receiver_application_id, resource_id, scopes,
        constraints_json, max_hops, expires_at
    FROM delegation_edges
    WHERE id = %(parent_edge_id)s AND status = 'active' AND expires_at > now()
    FOR SHARE
),
edge AS (
    INSERT INTO delegation_edges (
        id, zone_id, source_session_id, target_session_id, issuer_application_id,
        receiver_application_id, parent_edge_id, root_edge_id, depth, max_hops,
        resource_id, scopes, constraints_json, status, expires_at, edge_version
    )
    SELECT
        %(edge_id)s, %(zone_id)s, %(parent_id)s, %(id)s, receiver_application_id,
        %(application_id)s, id, root_edge_id, depth + 1, max_hops - 1,
        resource_id, scopes,
        CASE
            WHEN constraints_json ? 'max_depth' THEN
                constraints_json || jsonb_build_object('max_depth', max_hops - 1)
            ELSE constraints_json
        END || jsonb_build_object('max_hops', max_hops - 1),
        'active', expires_at, 0
    FROM above
    RETURNING id
)
SELECT EXISTS (SELECT FROM edge) AS mirrored
