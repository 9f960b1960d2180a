-- The state of everything a token names, by primary keys; of the agent session only when
-- the token names one.
SELECT
    json_build_object(
        'zone', coalesce((
            SELECT CASE WHEN archived_at IS NULL THEN 'active' ELSE 'archived' END
            FROM zones WHERE id = %(zone_id)s
        ), 'unknown'),
        'application', coalesce((
            SELECT CASE
                WHEN archived_at IS NOT NULL THEN 'archived'
                WHEN expires_at <= now() THEN 'expired'
                ELSE 'active'
            END
            FROM applications WHERE id = %(client_id)s AND zone_id = %(zone_id)s
        ), 'unknown'),
        'signing_key', coalesce((
            SELECT CASE WHEN state = 'withdrawn' THEN 'withdrawn' ELSE 'active' END
            FROM signing_keys WHERE id = %(key_id)s AND zone_id = %(zone_id)s
        ), 'unknown'),
        'session', coalesce((
            SELECT CASE WHEN status = 'active' AND expires_at <= now()
                THEN 'expired' ELSE status END
            FROM sessions WHERE id = %(sid)s AND zone_id = %(zone_id)s
        ), 'unknown'),
        'root_session', coalesce((
            SELECT CASE WHEN status = 'active' AND expires_at <= now()
                THEN 'expired' ELSE status END
            FROM sessions WHERE id = %(root_sid)s AND zone_id = %(zone_id)s
        ), 'unknown'),
        'agent_session', CASE WHEN %(agent_id)s::text IS NOT NULL THEN coalesce((
            SELECT CASE
                WHEN status = 'active' AND expires_at <= now() THEN 'expired'
                WHEN status = 'active' AND lifecycle = 'service'
                    AND heartbeat_deadline_at <= now() THEN 'lease_expired'
                ELSE status
            END
            FROM agent_sessions WHERE id = %(agent_id)s AND zone_id = %(zone_id)s
        ), 'unknown') END
    )::text AS states,
    (
        SELECT coalesce(json_object_agg(named.id, coalesce((
            SELECT CASE WHEN e.status = 'active' AND e.expires_at <= now()
                THEN 'expired' ELSE e.status END
            FROM delegation_edges e
            WHERE e.id = named.id AND e.zone_id = %(zone_id)s
        ), 'unknown')), '{}')
        FROM unnest(%(edges)s::text[]) AS named (id)
    )::text AS edges
