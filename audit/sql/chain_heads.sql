-- The last link of the chains of some zones and of the platform's own. One probe of
-- admin_audit_chain_key a chain.
SELECT head.*
FROM unnest(%(zones)s::text[]) AS z (zone_id)
CROSS JOIN LATERAL (
    SELECT zone_id, chain_seq, content_sha256
    FROM admin_audit_events
    WHERE zone_id = z.zone_id AND chain_seq IS NOT NULL
    ORDER BY chain_seq DESC
    LIMIT 1
) AS head
UNION ALL
(
    SELECT zone_id, chain_seq, content_sha256
    FROM admin_audit_events
    WHERE zone_id IS NULL AND chain_seq IS NOT NULL
    ORDER BY chain_seq DESC
    LIMIT 1
)
