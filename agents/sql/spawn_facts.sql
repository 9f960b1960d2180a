-- What the rules of spawn ask about the caller, the application and the subject session,
-- in one row. Each part is one lookup by primary key.
WITH
-- include: tokens/caller
SELECT
    caller.zone_live,
    caller.identity_live,
    caller.agent_live,
    json_build_object(
        'application', (
            SELECT json_build_object(
                'registration_method', a.registration_method,
                'has_live_agent', a.registration_method = 'dcr' AND EXISTS (
                    SELECT FROM agent_sessions s
                    WHERE s.zone_id = a.zone_id AND s.application_id = a.id
                        AND s.status IN ('active', 'suspended')
                        AND (s.expires_at IS NULL OR s.expires_at > now())
                )
            )
            FROM applications a
            WHERE a.id = %(application_id)s AND a.zone_id = %(zone_id)s
                AND a.archived_at IS NULL AND (a.expires_at IS NULL OR a.expires_at > now())
        ),
        'subject_session_usable', EXISTS (
            -- include: agents/usable_subject
        )
    )::text AS facts
FROM caller
