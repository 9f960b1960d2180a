known AS (
    -- The application behind a client id, when it and its zone are in force; found by
    -- its primary key.
    SELECT
        applications.id,
        applications.zone_id,
        applications.name,
        applications.registration_method,
        applications.traits,
        applications.secret_digest,
        applications.previous_secret_digest,
        applications.previous_secret_expires_at,
        applications.expires_at
    FROM applications
    INNER JOIN zones ON zones.id = applications.zone_id
    WHERE
        applications.id = %(application_id)s
        AND applications.archived_at IS NULL
        AND zones.archived_at IS NULL
        AND (applications.expires_at IS NULL OR applications.expires_at > now())
)
