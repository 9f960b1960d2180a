held AS (
    -- The application and its zone, as long as both are in force and the secret that
    -- proved who asks is good; each by its primary key. Their end, and another secret,
    -- wait for what is about to be written, or this statement for them: then no row
    -- comes.
    SELECT zones.id AS zone_id
    FROM zones
    INNER JOIN applications ON applications.zone_id = zones.id
    WHERE
        applications.id = %(client_id)s::text
        AND zones.id = %(zone_id)s::text
        AND zones.archived_at IS NULL
        AND applications.archived_at IS NULL
        AND (applications.expires_at IS NULL OR applications.expires_at > now())
        AND
        -- include: tokens/proven
    FOR KEY SHARE OF zones
    FOR SHARE OF applications
),
in_force AS (
    -- What the zone decides by: an activation waits likewise. Locked after the zone,
    -- which an activation locks first.
    SELECT policy_activations.revision
    FROM held
    INNER JOIN policy_activations ON policy_activations.zone_id = held.zone_id
    FOR SHARE OF policy_activations
),
standing AS (
    SELECT FROM held
    WHERE coalesce((SELECT revision FROM in_force), 0) = %(policy_revision)s
)
