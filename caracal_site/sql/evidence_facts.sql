-- Backlogs of evidence and the age of their oldest rows, 0 without any. Counts read
-- partial indexes of what is not done yet; the oldest pending event is the oldest of
-- the zones' first ones, found by one index probe a zone.
WITH RECURSIVE first AS (
    (
        SELECT zone_id, created_at
        FROM event_outbox
        WHERE published_at IS NULL AND parked_at IS NULL
        ORDER BY zone_id, position
        LIMIT 1
    )
    UNION ALL
    SELECT following.zone_id, following.created_at
    FROM first
    CROSS JOIN LATERAL (
        SELECT zone_id, created_at
        FROM event_outbox
        WHERE published_at IS NULL AND parked_at IS NULL AND zone_id > first.zone_id
        ORDER BY zone_id, position
        LIMIT 1
    ) AS following
),
parked AS (
    SELECT count(*) AS several, min(parked_at) AS since
    FROM event_outbox
    WHERE parked_at IS NOT NULL
)
SELECT
    (
        SELECT count(*) FROM event_outbox
        WHERE published_at IS NULL AND parked_at IS NULL
    ),
    (
        SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8
        FROM first
    ),
    parked.several,
    coalesce(extract(epoch FROM now() - parked.since), 0)::float8,
    (SELECT count(*) FROM admin_audit_events WHERE chain_seq IS NULL)
FROM parked
