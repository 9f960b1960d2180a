-- ``agents/spawn`` of a root agent, if the caller's authority stands, the application is a
-- live managed one, and the subject session is in force and the caller's own. Each part is
-- one lookup by primary key.
WITH
-- include: tokens/caller
,
fit AS (
    SELECT FROM caller
    WHERE zone_live AND identity_live AND agent_live
        AND EXISTS (
            SELECT FROM applications a
            WHERE a.id = %(application_id)s AND a.zone_id = %(zone_id)s
                AND a.archived_at IS NULL AND (a.expires_at IS NULL OR a.expires_at > now())
                AND a.registration_method = 'managed'
        )
        AND EXISTS (
            -- include: agents/usable_subject
        )
),
-- include: agents/spawned
