-- What the zone has published after a number, in order (event_outbox_zone_seq_key), and
-- which of it the caller takes part in (D11), asked by primary keys for at most
-- ``limit`` rows. Always at least one row. Without ``after`` it is everything kept.
-- ``arrived`` is the last number published: what has a higher one is on its way.
WITH
-- include: tokens/caller
,
bounds AS (
    SELECT
        coalesce(max(last_seq), 0) AS last_seq,
        coalesce(max(last_seq - cardinality(sending)), 0) AS arrived,
        (
            SELECT zone_seq FROM event_outbox
            WHERE zone_id = %(zone_id)s AND zone_seq IS NOT NULL
            ORDER BY zone_seq
            LIMIT 1
        ) AS oldest
    FROM event_heads
    WHERE zone_id = %(zone_id)s
),
page AS (
    SELECT id, producer, topic, dedupe_key, payload_json, published_at, zone_seq
    FROM event_outbox
    WHERE
        zone_id = %(zone_id)s
        AND zone_seq > (
            SELECT coalesce(%(after)s::bigint, oldest - 1, arrived) FROM bounds
        )
    ORDER BY zone_seq
    LIMIT %(limit)s
)
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    bounds.last_seq, bounds.arrived,
    coalesce(%(after)s::bigint, bounds.oldest - 1, bounds.arrived),
    page.id, page.producer, page.topic, page.dedupe_key, page.payload_json::text,
    page.published_at, page.zone_seq,
    -- include: audit/event_visible
    AS is_visible
FROM caller
CROSS JOIN bounds
LEFT JOIN page ON true
ORDER BY page.zone_seq
