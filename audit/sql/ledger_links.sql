-- Every link of a zone in order, with the hashed bytes of its row, null where that is no
-- more. One probe of the ledger's primary key a link.
COPY (
    SELECT
        l.seq, l.event_id, l.occurred_at, l.content, l.mac,
        CASE WHEN e.id IS NOT NULL THEN
            -- include: audit/ledger_message
        END
    FROM audit_links AS l
    LEFT JOIN audit_events AS e ON e.id = l.event_id AND e.zone_id = l.zone_id
    WHERE l.zone_id = {zone_id}
    ORDER BY l.seq
) TO STDOUT (FORMAT BINARY)
