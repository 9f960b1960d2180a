-- A version of a policy that the transaction has locked, and the evidence.
WITH
evidence_patch AS (SELECT '{}'::jsonb AS members),
changed AS (
    UPDATE policies SET updated_at = now() WHERE id = %(policy_id)s
),
version AS (
    INSERT INTO policy_versions (
        id, policy_id, version, content, content_sha256, schema_version, created_by
    )
    VALUES (
        %(version_id)s, %(policy_id)s, %(number)s, %(content)s, %(content_sha256)s,
        %(schema_version)s, %(version_by)s
    )
    RETURNING created_at
),
-- include: audit/evidence
SELECT created_at FROM version
