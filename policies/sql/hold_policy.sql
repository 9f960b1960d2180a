-- A live policy of a live zone: the zone stays live and nobody else changes the policy
-- until the transaction ends. Both by primary key, the zone first, as everywhere.
SELECT zones.name, zones.slug, zones.owner_account_id, policies.version
FROM zones
JOIN policies ON policies.zone_id = zones.id
WHERE
    zones.id = %(zone_id)s
    AND zones.archived_at IS NULL
    AND policies.id = %(policy_id)s
    AND policies.archived_at IS NULL
FOR KEY SHARE OF zones
FOR NO KEY UPDATE OF policies
