-- What issuing a token needs to know: no row when the application or its zone is not in
-- force, or the secret that proved who asks is not good any more. Bounded by the resources asked for (at most 32); everything is found by a
-- primary or unique key. The share locks make an archival of either wait for the
-- session about to be written, or this statement for the archival: then no row comes.
SELECT
    extract(epoch FROM now()) AS now,
    extract(epoch FROM applications.expires_at) AS application_expires_at,
    signing_keys.id AS key_id,
    signing_keys.sealed_private_key,
    %(session_id)s::text IS NULL OR EXISTS (
        SELECT FROM sessions
        WHERE
            sessions.id = %(session_id)s::text
            AND sessions.zone_id = zones.id
            AND sessions.client_id = applications.id
            AND sessions.subject_id = applications.id
            AND sessions.session_type = 'application'
            AND sessions.status = 'active'
            AND sessions.expires_at > now()
    ) AS session_usable,
    (
        SELECT
            coalesce(
                jsonb_object_agg(
                    resources.identifier,
                    jsonb_build_object(
                        'id', resources.id,
                        'scopes', resources.scopes,
                        'owner_id', binding.application_id
                    )
                ),
                '{}'
            )
        FROM resources
        LEFT JOIN gateway_resource_bindings AS binding
            ON
                binding.zone_id = resources.zone_id
                AND binding.resource_identifier = resources.identifier
        WHERE
            resources.zone_id = zones.id
            AND resources.identifier = ANY(%(resources)s::text[])
            AND resources.archived_at IS NULL
    ) AS resources
FROM zones
INNER JOIN applications ON applications.zone_id = zones.id
LEFT JOIN signing_keys
    ON signing_keys.zone_id = zones.id AND signing_keys.state = 'signing'
WHERE
    applications.id = %(application_id)s
    AND zones.id = %(zone_id)s
    AND zones.archived_at IS NULL
    AND applications.archived_at IS NULL
    AND (applications.expires_at IS NULL OR applications.expires_at > now())
    AND (
        applications.secret_digest = %(proof)s
        OR (
            applications.previous_secret_digest = %(proof)s
            AND applications.previous_secret_expires_at > now()
        )
    )
FOR SHARE OF zones, applications
