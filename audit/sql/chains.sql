-- The zones that have a chain; null is the platform's own. One probe of
-- admin_audit_chain_key a chain, however long it is.
WITH RECURSIVE chain AS (
    (
        SELECT zone_id
        FROM admin_audit_events
        WHERE chain_seq IS NOT NULL AND zone_id IS NOT NULL
        ORDER BY zone_id
        LIMIT 1
    )
    UNION ALL
    SELECT following.zone_id
    FROM chain
    CROSS JOIN LATERAL (
        SELECT zone_id
        FROM admin_audit_events
        WHERE chain_seq IS NOT NULL AND zone_id > chain.zone_id
        ORDER BY zone_id
        LIMIT 1
    ) AS following
)
SELECT zone_id FROM chain
UNION ALL
SELECT NULL
