source_first AS (
    -- What is locked is read anew once the lock has been obtained, so a row that is here
    -- is as it was found to be by the rules.
    SELECT id, narrowed FROM agent_sessions
    WHERE id = %(source_id)s AND zone_id = %(zone_id)s AND %(source_id)s < %(target_id)s
        AND status = 'active'
    FOR SHARE
),
target AS (
    SELECT id, narrowed FROM agent_sessions
    WHERE id = %(target_id)s AND zone_id = %(zone_id)s AND status = 'active'
        AND (SELECT count(*) FROM source_first) >= 0
    FOR NO KEY UPDATE
),
source_last AS (
    SELECT id, narrowed FROM agent_sessions
    WHERE id = %(source_id)s AND zone_id = %(zone_id)s AND %(source_id)s > %(target_id)s
        AND status = 'active' AND (SELECT count(*) FROM target) >= 0
    FOR SHARE
),
source AS (SELECT * FROM source_first UNION ALL SELECT * FROM source_last)
