-- The zones with news due. One index probe a zone (event_outbox_pending), however
-- long its backlog; a zone is as due as its first pending row.
WITH RECURSIVE first AS (
    (
        SELECT zone_id, available_at
        FROM event_outbox
        WHERE published_at IS NULL AND parked_at IS NULL
        ORDER BY zone_id, zone_seq, position
        LIMIT 1
    )
    UNION ALL
    SELECT following.zone_id, following.available_at
    FROM first
    CROSS JOIN LATERAL (
        SELECT zone_id, available_at
        FROM event_outbox
        WHERE published_at IS NULL AND parked_at IS NULL AND zone_id > first.zone_id
        ORDER BY zone_id, zone_seq, position
        LIMIT 1
    ) AS following
)
SELECT zone_id FROM first WHERE available_at <= now() LIMIT %(limit)s
