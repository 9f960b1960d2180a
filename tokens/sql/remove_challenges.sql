-- One batch of a zone's requests for approval that nobody can answer or use any more and
-- that were over before the time, oldest first; from the listing's index.
DELETE FROM step_up_challenges
WHERE id IN (
    SELECT id
    FROM step_up_challenges
    WHERE
        zone_id = %(zone_id)s
        AND created_at < %(before)s
        AND expires_at < %(before)s
        AND state NOT IN ('pending', 'satisfied')
    ORDER BY created_at, id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
