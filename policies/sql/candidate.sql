-- A version of a live set and the scenarios it is asked, oldest first: by primary keys
-- and the scenarios' unique index, which begins with the set.
SELECT
    versions.schema_version,
    ARRAY(
        SELECT scenarios.id
        FROM policy_scenarios AS scenarios
        WHERE
            scenarios.policy_set_id = versions.policy_set_id
            AND scenarios.since_version <= versions.version
        ORDER BY scenarios.created_at, scenarios.id
    )
FROM policy_set_versions AS versions
JOIN policy_sets ON policy_sets.id = versions.policy_set_id
WHERE
    versions.id = %(version_id)s
    AND versions.policy_set_id = %(policy_set_id)s
    AND policy_sets.zone_id = %(zone_id)s
    AND policy_sets.archived_at IS NULL
