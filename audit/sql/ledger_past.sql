-- What of some zones is past the moment of each, and so would go in the next run: the
-- rows that ledger_retiring.sql would take, at most ``limit`` of each zone counted
-- (audit_events_listing).
SELECT past.zone, found.rows, found.oldest
FROM unnest(%(zones)s::text[], %(befores)s::timestamptz[]) AS past (zone, before)
CROSS JOIN LATERAL (
    SELECT count(*) AS rows, min(one.occurred_at) AS oldest
    FROM (
        SELECT e.occurred_at
        FROM audit_events AS e
        WHERE
            e.zone_id = past.zone AND e.occurred_at < past.before
            AND EXISTS (SELECT FROM audit_links AS l WHERE l.event_id = e.id)
        ORDER BY e.occurred_at, e.id
        LIMIT %(limit)s
    ) AS one
) AS found
WHERE past.before <= now() - interval '1 day' AND found.rows > 0
ORDER BY found.rows DESC, past.zone
