-- Live zones whose key has signed for so long, and that have no next one yet: a page of
-- them by signing_keys_one_signs.
SELECT k.zone_id
FROM signing_keys AS k
INNER JOIN zones AS z ON z.id = k.zone_id
WHERE
    k.state = 'signing'
    AND k.signing_at <= now() - make_interval(secs => %(seconds)s)
    AND z.archived_at IS NULL
    AND NOT EXISTS (
        SELECT FROM signing_keys AS next
        WHERE next.zone_id = k.zone_id AND next.state = 'published'
    )
ORDER BY k.zone_id
LIMIT 1000
