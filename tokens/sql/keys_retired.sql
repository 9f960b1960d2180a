-- Keys of live zones that nothing in its time is signed with any more: at most a few a
-- zone.
SELECT k.zone_id, k.id
FROM signing_keys AS k
INNER JOIN zones AS z ON z.id = k.zone_id
WHERE
    k.state = 'retired'
    AND k.retired_at <= now() - make_interval(secs => %(seconds)s)
    AND z.archived_at IS NULL
ORDER BY k.zone_id
LIMIT 1000
