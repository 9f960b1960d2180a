-- The end of the statements that spawn, unless ``fit`` is empty. When that is so or a slot
-- is full no agent comes about, and the division by zero at the end undoes the statement.
-- Capacity rows are found by (scope_id, slot); zone slots are taken before application
-- slots everywhere.
zone_room AS (
    UPDATE agent_capacity SET live = live + 1
    WHERE scope_id = %(zone_id)s AND slot = %(slot)s AND cap = %(zone_cap)s
        AND live < quota AND EXISTS (SELECT FROM fit)
    RETURNING 1
),
application_room AS (
    UPDATE agent_capacity SET live = live + 1
    WHERE scope_id = %(application_id)s AND slot = %(slot)s AND cap = %(application_cap)s
        AND live < quota AND EXISTS (SELECT FROM zone_room)
    RETURNING 1
),
agent AS (
    INSERT INTO agent_sessions (
        id, zone_id, application_id, parent_id, ancestor_ids, subject_session_id, lifecycle,
        depth, labels, narrowed, ttl_seconds, expires_at, metadata_json,
        spawned_at, last_heartbeat_at, heartbeat_deadline_at
    )
    SELECT
        %(id)s, %(zone_id)s, %(application_id)s, %(parent_id)s, %(ancestor_ids)s::text[],
        %(subject_session_id)s, %(lifecycle)s, %(depth)s, %(labels)s::text[], %(narrowed)s,
        %(ttl_seconds)s::integer, now() + make_interval(secs => %(ttl_seconds)s::integer),
        %(metadata)s::jsonb, now(),
        CASE WHEN %(lifecycle)s = 'service' THEN now() END,
        CASE WHEN %(lifecycle)s = 'service'
            THEN now() + make_interval(secs => %(lease_seconds)s::integer) END
    FROM application_room
    RETURNING id, spawned_at
),
evidence_patch AS (
    SELECT jsonb_build_object('epoch', %(epoch)s::bigint) AS members
),
-- include: audit/evidence
SELECT
    (SELECT spawned_at FROM agent) AS spawned_at,
    1 / (SELECT count(*) FROM agent) AS spawned
