-- A live set of a live zone: nobody else changes the zone or the set until the
-- transaction ends. Both by primary key, the zone first, as everywhere.
SELECT zones.name, zones.slug, zones.owner_account_id
FROM zones
JOIN policy_sets ON policy_sets.zone_id = zones.id
WHERE
    zones.id = %(zone_id)s
    AND zones.archived_at IS NULL
    AND policy_sets.id = %(policy_set_id)s
    AND policy_sets.archived_at IS NULL
FOR NO KEY UPDATE OF zones, policy_sets
