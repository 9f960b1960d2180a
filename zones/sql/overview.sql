-- What stands in a zone now, as one JSON object: one snapshot, so the numbers agree.
-- Bounded by the zone's live rows and its last day of decisions; each part is read by
-- the listing index of its table, which begins with the zone.
SELECT jsonb_build_object(
    'zone_id', %(zone_id)s::text,
    'applications', (
        SELECT jsonb_build_object(
            'total', count(*),
            'expired', count(*) FILTER (WHERE expires_at <= now()),
            'expiring_soon', count(*) FILTER (
                WHERE expires_at > now() AND expires_at <= now() + interval '7 days'
            )
        )
        FROM applications
        WHERE zone_id = %(zone_id)s AND archived_at IS NULL
    ),
    'resources', (
        SELECT jsonb_build_object(
            'total', count(*),
            'unenforced', count(*) FILTER (WHERE operation_enforcement <> 'enforced')
        )
        FROM resources
        WHERE zone_id = %(zone_id)s AND archived_at IS NULL
    ),
    'providers', (
        SELECT jsonb_build_object('total', count(*))
        FROM providers
        WHERE zone_id = %(zone_id)s AND archived_at IS NULL
    ),
    'policy_sets', (
        SELECT jsonb_build_object(
            'total', count(*),
            'enforcing', count(activation.policy_set_id),
            'active_name',
            min(policy_sets.name) FILTER (WHERE activation.policy_set_id IS NOT NULL)
        )
        FROM policy_sets
        LEFT JOIN policy_activations AS activation
            ON activation.policy_set_id = policy_sets.id
        WHERE policy_sets.zone_id = %(zone_id)s AND policy_sets.archived_at IS NULL
    ),
    'sessions', (
        SELECT jsonb_build_object('active', count(*))
        FROM sessions
        WHERE zone_id = %(zone_id)s AND status = 'active' AND expires_at > now()
    ),
    'decisions_24h', (
        SELECT jsonb_build_object(
            'allowed', count(*) FILTER (WHERE decision = 'allow'),
            'denied', count(*) FILTER (WHERE decision = 'deny')
        )
        FROM audit_events
        WHERE zone_id = %(zone_id)s AND occurred_at > now() - interval '24 hours'
    ),
    'recent_events', coalesce((
        SELECT jsonb_agg(
            jsonb_build_object(
                'id', id,
                'event_type', event_type,
                'request_id', request_id,
                'decision', decision,
                'metadata_json', metadata_json,
                'occurred_at', to_char(
                    occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'
                )
            )
            ORDER BY occurred_at DESC, id DESC
        )
        FROM (
            SELECT *
            FROM audit_events
            WHERE zone_id = %(zone_id)s
            ORDER BY occurred_at DESC, id DESC
            LIMIT 10
        ) AS recent
    ), '[]'::jsonb)
)::text, now()
