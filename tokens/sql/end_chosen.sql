-- Ends the sessions that ``chosen`` names. Rows are locked in id order, so that two
-- revocations never wait for each other in a circle.
locked AS (
    SELECT id
    FROM sessions
    WHERE id IN (SELECT id FROM chosen) AND status = 'active'
    ORDER BY id
    FOR UPDATE
)
UPDATE sessions
SET status = 'revoked', revoked_at = now(), revoked_reason = %(reason)s
FROM locked
WHERE sessions.id = locked.id
RETURNING sessions.id
