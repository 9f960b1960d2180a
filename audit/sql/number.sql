-- Gives the rows of some zones, listed in order, the next numbers of their zones: one
-- row a zone says which they are, until they have arrived (mark_published.sql).
INSERT INTO event_heads AS head (zone_id, last_seq, sending)
SELECT zone_id, count(*), array_agg(position ORDER BY nth)
FROM unnest(%(zones)s::text[], %(positions)s::bigint[])
    WITH ORDINALITY AS listed (zone_id, position, nth)
GROUP BY zone_id
ON CONFLICT (zone_id) DO UPDATE
SET last_seq = head.last_seq + excluded.last_seq, sending = excluded.sending
RETURNING zone_id, last_seq
