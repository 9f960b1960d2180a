-- The zones with news due. One index probe a zone (event_outbox_pending), however long
-- its backlog; a zone whose stream refused an entry waits until its retry_at.
WITH RECURSIVE pending AS (
    (
        SELECT zone_id
        FROM event_outbox
        WHERE published_at IS NULL AND parked_at IS NULL
        ORDER BY zone_id
        LIMIT 1
    )
    UNION ALL
    SELECT following.zone_id
    FROM pending
    CROSS JOIN LATERAL (
        SELECT zone_id
        FROM event_outbox
        WHERE published_at IS NULL AND parked_at IS NULL AND zone_id > pending.zone_id
        ORDER BY zone_id
        LIMIT 1
    ) AS following
)
SELECT pending.zone_id
FROM pending
LEFT JOIN event_heads AS head ON head.zone_id = pending.zone_id
WHERE coalesce(head.retry_at <= now(), true)
LIMIT %(limit)s
