-- What is in force in the zones asked about, and in those where it changed last, whoever
-- asked. Bounded by both limits; the first is read by primary key, the second by
-- policy_activations_latest.
SELECT zone_id, revision, active_version_id
FROM policy_activations
WHERE zone_id = ANY(%(zones)s::text[])
UNION
(
    SELECT zone_id, revision, active_version_id
    FROM policy_activations
    WHERE active_version_id IS NOT NULL
    ORDER BY activated_at DESC
    LIMIT %(latest)s
)
