-- A policy, its first version and the evidence: three rows.
WITH
evidence_patch AS (SELECT '{}'::jsonb AS members),
policy AS (
    INSERT INTO policies (
        id, zone_id, name, description, owner_type, created_by, co_authored_by_operator
    )
    VALUES (
        %(id)s, %(zone_id)s, %(name)s, %(description)s, %(owner_type)s, %(created_by)s,
        %(co_authored_by_operator)s
    )
    RETURNING created_at, version
),
version AS (
    INSERT INTO policy_versions (
        id, policy_id, version, content, content_sha256, schema_version, created_by
    )
    VALUES (
        %(version_id)s, %(id)s, %(number)s, %(content)s, %(content_sha256)s, %(schema_version)s,
        %(version_by)s
    )
    RETURNING created_at
),
-- include: audit/evidence
SELECT policy.created_at, policy.version, version.created_at FROM policy, version
