-- What issuing a token needs to know: no row when the application or its zone is not in
-- force, or the secret that proved who asks, where one did, is not good any more. Bounded by the resources
-- asked for (at most 32); everything is found by a primary or unique key. The share locks
-- make an archival of either wait for the session about to be written, or this statement
-- for the archival: then no row comes.
-- An activation of policies waits likewise; when this statement waited for one, it still
-- sees what was in force before, which ``policies_stand`` then finds out.
SELECT
    extract(epoch FROM now()) AS now,
    extract(epoch FROM applications.expires_at) AS application_expires_at,
    signing_keys.id AS key_id,
    signing_keys.sealed_private_key,
    (
        SELECT extract(epoch FROM sessions.expires_at) FROM sessions
        WHERE
            sessions.id = %(session_id)s::text
            AND sessions.zone_id = zones.id
            AND sessions.client_id = applications.id
            AND sessions.subject_id = applications.id
            AND sessions.session_type = 'application'
            AND sessions.status = 'active'
            AND sessions.expires_at > now()
    ) AS session_ends_at,
    (
        SELECT
            coalesce(
                jsonb_object_agg(
                    resources.identifier,
                    jsonb_build_object(
                        'id', resources.id,
                        'scopes', resources.scopes,
                        'operations', resources.operations,
                        'is_enforced', resources.operation_enforcement = 'enforced',
                        'upstream_url', resources.upstream_url,
                        'provider_id', providers.id,
                        'provider_kind', providers.provider_kind
                    )
                ),
                '{}'
            )
        FROM resources
        LEFT JOIN providers ON providers.id = resources.credential_provider_id
        WHERE
            resources.zone_id = zones.id
            AND resources.identifier = ANY(%(resources)s::text[])
            AND resources.archived_at IS NULL
    ) AS resources,
    coalesce(policy_activations.revision, 0) AS policy_revision,
    CASE
        WHEN policy_set_versions.id IS NOT NULL THEN jsonb_build_object(
            'policy_set_id', policy_set_versions.policy_set_id,
            'version_id', policy_set_versions.id,
            'manifest_sha256', policy_set_versions.manifest_sha256
        )
    END AS policies
FROM zones
INNER JOIN applications ON applications.zone_id = zones.id
LEFT JOIN signing_keys
    ON signing_keys.zone_id = zones.id AND signing_keys.state = 'signing'
LEFT JOIN policy_activations ON policy_activations.zone_id = zones.id
LEFT JOIN policy_set_versions
    ON policy_set_versions.id = policy_activations.active_version_id
WHERE
    applications.id = %(application_id)s
    AND zones.id = %(zone_id)s
    AND zones.archived_at IS NULL
    AND applications.archived_at IS NULL
    AND (applications.expires_at IS NULL OR applications.expires_at > now())
    AND (
        %(proof)s::bytea IS NULL
        OR applications.secret_digest = %(proof)s::bytea
        OR (
            applications.previous_secret_digest = %(proof)s::bytea
            AND applications.previous_secret_expires_at > now()
        )
    )
FOR SHARE OF zones, applications
