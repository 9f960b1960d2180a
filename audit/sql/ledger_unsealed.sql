-- Takes the next rows of the ledger that have no link from the queue, in order of
-- writing. At most one batch; rows by primary key, each in the partition of its id.
WITH taken AS (
    DELETE FROM audit_unsealed
    WHERE position IN (
        SELECT position FROM audit_unsealed ORDER BY position LIMIT %(limit)s
    )
    RETURNING position, zone_id, event_id
)
SELECT
    taken.zone_id, taken.event_id, e.occurred_at,
    -- include: audit/ledger_message
FROM taken
LEFT JOIN audit_events AS e ON e.id = taken.event_id
ORDER BY taken.zone_id, taken.position
