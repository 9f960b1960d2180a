-- Published keys of live zones that verifiers have had time to learn. A handful of
-- rows: a key is in this state for minutes.
SELECT k.zone_id, k.id
FROM signing_keys AS k
INNER JOIN zones AS z ON z.id = k.zone_id
WHERE
    k.state = 'published'
    AND k.created_at <= now() - make_interval(secs => %(publish_seconds)s)
    AND z.archived_at IS NULL
ORDER BY k.zone_id
LIMIT 1000
