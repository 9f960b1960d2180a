-- include: tokens/known_client
,
facts AS (
    -- What issuing a token needs to know besides. Bounded by the resources asked for (at
    -- most 32); everything is found by a primary or unique key, and nothing looked for
    -- unless the secret is good, where one proves who asks, and the zone its own.
    SELECT
        extract(epoch FROM now())::float8 AS now_epoch,
        extract(epoch FROM known.expires_at)::float8 AS application_expires_at,
        signing_keys.id AS key_id,
        signing_keys.sealed_private_key,
        (
            SELECT extract(epoch FROM sessions.expires_at)::float8 FROM sessions
            WHERE
                sessions.id = %(session_id)s::text
                AND sessions.zone_id = known.zone_id
                AND sessions.client_id = known.id
                AND sessions.subject_id = known.id
                AND sessions.session_type = 'application'
                AND sessions.status = 'active'
                AND sessions.expires_at > now()
        ) AS session_ends_at,
        (
            SELECT
                json_agg(
                    json_build_object(
                        'identifier', resources.identifier,
                        'id', resources.id,
                        'scopes', resources.scopes,
                        'operations', resources.operations,
                        'is_enforced', resources.operation_enforcement = 'enforced',
                        'upstream_url', resources.upstream_url,
                        'provider_id', providers.id,
                        'provider_kind', providers.provider_kind
                    )
                )::text
            FROM resources
            LEFT JOIN providers ON providers.id = resources.credential_provider_id
            WHERE
                resources.zone_id = known.zone_id
                AND resources.identifier = ANY(%(resources)s::text[])
                AND resources.archived_at IS NULL
        ) AS resources,
        coalesce(policy_activations.revision, 0) AS policy_revision,
        active.policy_set_id,
        active.id AS active_version_id,
        active.manifest_sha256 AS active_manifest,
        shadow.id AS shadow_version_id,
        shadow.manifest_sha256 AS shadow_manifest
    FROM known
    LEFT JOIN signing_keys
        ON signing_keys.zone_id = known.zone_id AND signing_keys.state = 'signing'
    LEFT JOIN policy_activations ON policy_activations.zone_id = known.zone_id
    LEFT JOIN policy_set_versions AS active
        ON active.id = policy_activations.active_version_id
    LEFT JOIN policy_set_versions AS shadow
        ON shadow.id = policy_activations.shadow_version_id
    WHERE
        known.zone_id = %(zone_id)s::text
        AND
        -- include: tokens/proven
)
