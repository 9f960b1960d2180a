-- One batch of what sessions_expiring lists as overdue; rows somebody else is ending
-- right now are left to them.
UPDATE sessions
SET status = 'expired'
WHERE id IN (
    SELECT id
    FROM sessions
    WHERE status = 'active' AND expires_at <= now()
    ORDER BY expires_at
    LIMIT %(batch)s
    FOR UPDATE SKIP LOCKED
)
