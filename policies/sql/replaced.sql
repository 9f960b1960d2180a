-- What is in force in the zone, and what the candidate is asked now: one row always.
SELECT
    activations.policy_set_id,
    activations.active_version_id,
    ARRAY(
        SELECT scenarios.id
        FROM policy_scenarios AS scenarios
        JOIN policy_set_versions AS versions
            ON versions.policy_set_id = scenarios.policy_set_id
        WHERE
            versions.id = %(version_id)s
            AND scenarios.since_version <= versions.version
        ORDER BY scenarios.created_at, scenarios.id
    )
FROM (SELECT %(zone_id)s::text AS id) AS zones
LEFT JOIN policy_activations AS activations ON activations.zone_id = zones.id
