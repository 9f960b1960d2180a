-- Rows of a zone's ledger that no link is about and that are not waiting for one, which
-- the platform never leaves behind.
SELECT count(*), min(e.id)
FROM audit_events AS e
WHERE
    e.zone_id = %(zone_id)s
    AND NOT EXISTS (SELECT FROM audit_links AS l WHERE l.event_id = e.id)
    AND NOT EXISTS (
        SELECT FROM audit_unsealed AS u
        WHERE u.zone_id = %(zone_id)s AND u.event_id = e.id
    )
