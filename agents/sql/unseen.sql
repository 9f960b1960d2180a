-- Live services of one zone that were not heard from for so long, among some or all. Index:
-- agent_sessions_leased, all live services of the zone.
SELECT id, parent_id FROM agent_sessions
WHERE zone_id = %(zone_id)s AND lifecycle = 'service' AND terminated_at IS NULL
    AND heartbeat_deadline_at <= now()
    AND coalesce(last_heartbeat_at, spawned_at)
        <= now() - make_interval(secs => %(unseen_seconds)s::integer)
    AND (%(among)s::text[] IS NULL OR id = ANY (%(among)s::text[]))
ORDER BY id
LIMIT %(limit)s
