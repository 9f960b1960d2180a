-- Live agents whose footing is gone, and why: the zone, the application or the authority
-- session they belong to ended without them. Each pair of application and session is
-- looked at once, by one probe of agent_sessions_standing and three primary keys, however
-- many agents stand on it. An application's own session that merely ran out is no
-- loss: the application has its next one at the next token.
WITH RECURSIVE footing AS (
    (
        SELECT application_id, subject_session_id
        FROM agent_sessions
        WHERE terminated_at IS NULL
        ORDER BY application_id, subject_session_id
        LIMIT 1
    )
    UNION ALL
    SELECT following.application_id, following.subject_session_id
    FROM footing
    CROSS JOIN LATERAL (
        SELECT application_id, subject_session_id
        FROM agent_sessions
        WHERE
            terminated_at IS NULL
            AND (application_id, subject_session_id)
            > (footing.application_id, footing.subject_session_id)
        ORDER BY application_id, subject_session_id
        LIMIT 1
    ) AS following
),
lost AS (
    SELECT
        footing.*,
        CASE
            WHEN zone.archived_at IS NOT NULL THEN 'zone_archived'
            WHEN application.archived_at IS NOT NULL THEN 'application_archived'
            WHEN session.status = 'revoked' THEN 'subject_session_revoked'
            WHEN
                session.session_type = 'user'
                AND (session.status <> 'active' OR session.expires_at <= now())
                THEN 'subject_session_expired'
        END AS reason
    FROM footing
    JOIN applications AS application ON application.id = footing.application_id
    JOIN zones AS zone ON zone.id = application.zone_id
    JOIN sessions AS session ON session.id = footing.subject_session_id
)
SELECT agent.zone_id, lost.reason, agent.id
FROM lost
JOIN agent_sessions AS agent
    ON agent.application_id = lost.application_id
    AND agent.subject_session_id = lost.subject_session_id
    AND agent.terminated_at IS NULL
WHERE lost.reason IS NOT NULL AND agent.zone_id <> ALL (%(skipped)s::text[])
ORDER BY agent.zone_id, lost.reason, agent.id
LIMIT %(limit)s
