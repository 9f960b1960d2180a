WITH
evidence_patch AS (SELECT '{}'::jsonb AS members),
-- include: audit/evidence
SELECT 1
