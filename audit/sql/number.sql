-- Gives rows, listed in order, the next numbers of their zones and moves the zones'
-- heads, all or nothing. Bounded by one batch; rows by primary key.
WITH given AS (
    SELECT
        zone_id, id,
        row_number() OVER (PARTITION BY zone_id ORDER BY nth) AS place,
        count(*) OVER (PARTITION BY zone_id) AS several
    FROM unnest(%(zones)s::text[], %(ids)s::text[])
        WITH ORDINALITY AS t (zone_id, id, nth)
),
heads AS (
    INSERT INTO event_heads AS head (zone_id, last_seq)
    SELECT zone_id, count(*) FROM given GROUP BY zone_id
    ON CONFLICT (zone_id) DO UPDATE SET last_seq = head.last_seq + excluded.last_seq
    RETURNING head.zone_id, head.last_seq
)
UPDATE event_outbox
SET zone_seq = heads.last_seq - given.several + given.place
FROM given JOIN heads USING (zone_id)
WHERE event_outbox.id = given.id
RETURNING event_outbox.id, event_outbox.zone_seq
