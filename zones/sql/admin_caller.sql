-- Who presents a credential, and the live zone that the route names: the two questions
-- every request of the Management API has, in one round trip, so that a revoked token
-- is refused from the moment its revocation has committed. {zone} stands for all columns
-- of the zone, as the model has them.
-- Bounds: one row at most. Indexes: admin_tokens_digest_live_key, two primary keys.
SELECT
    t.id, t.name, t.scope, t.capability, t.zone_id, t.created_by,
    t.last_used_at IS NULL
        OR t.last_used_at < now() - make_interval(secs => %(debounce_seconds)s::int),
    {zone}
FROM admin_tokens AS t
LEFT JOIN zones AS own ON own.id = t.zone_id
LEFT JOIN zones AS z ON z.id = %(zone_id)s::text AND z.archived_at IS NULL
WHERE t.digest = %(digest)s
    AND t.revoked_at IS NULL
    AND (t.expires_at IS NULL OR t.expires_at > now())
    AND own.archived_at IS NULL
