-- What the rules of spawn ask about the parent, which is locked against being ended,
-- suspended or filled up meanwhile; its own columns are read after the lock was obtained.
-- By primary key and by (target_session) of its inbound edges, which are few.
WITH
parent AS (
    SELECT
        id, application_id, lifecycle, depth, child_count, narrowed, ancestor_ids,
        status = 'active'
        AND (expires_at IS NULL OR expires_at > now())
        AND (lifecycle <> 'service' OR heartbeat_deadline_at > now()) AS usable
    FROM agent_sessions
    WHERE id = %(parent_id)s AND zone_id = %(zone_id)s
    FOR NO KEY UPDATE
)
SELECT (
    SELECT json_build_object(
        'id', p.id, 'application_id', p.application_id, 'lifecycle', p.lifecycle,
        'depth', p.depth, 'child_count', p.child_count, 'narrowed', p.narrowed,
        'ancestor_ids', p.ancestor_ids, 'usable', p.usable,
        'registration_method', (
            SELECT a.registration_method FROM applications a
            WHERE a.id = p.application_id
        ),
        'inbound', (
            SELECT coalesce(json_agg(json_build_object(
                'id', e.id, 'max_hops', e.max_hops, 'depth', e.depth,
                'root_edge_id', e.root_edge_id,
                'receiver_application_id', e.receiver_application_id,
                'resource_id', e.resource_id, 'scopes', e.scopes,
                'constraints_json', e.constraints_json, 'expires_at', e.expires_at
            ) ORDER BY e.id), '[]')
            FROM delegation_edges e
            WHERE e.target_session_id = p.id AND e.status = 'active'
                AND e.expires_at > now()
        )
    )
    FROM parent p
)::text AS parent
