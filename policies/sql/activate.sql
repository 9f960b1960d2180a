-- What is in force in a zone that the transaction has locked, and the evidence. The
-- entity tags of the sets that come and go change, because what the API tells of them
-- does.
WITH
evidence_patch AS (SELECT '{}'::jsonb AS members),
tagged AS (
    UPDATE policy_sets SET updated_at = now() WHERE id = ANY(%(changed)s)
),
activation AS (
    INSERT INTO policy_activations (
        zone_id, revision, policy_set_id, active_version_id, shadow_version_id,
        activated_by, outbox_id
    )
    VALUES (
        %(zone_id)s, 1, %(policy_set_id)s, %(active_version_id)s, %(shadow_version_id)s,
        %(activated_by)s, %(outbox_id)s
    )
    ON CONFLICT (zone_id) DO UPDATE SET
        revision = policy_activations.revision + 1,
        policy_set_id = excluded.policy_set_id,
        active_version_id = excluded.active_version_id,
        shadow_version_id = excluded.shadow_version_id,
        activated_by = excluded.activated_by,
        activated_at = now(),
        outbox_id = excluded.outbox_id
    RETURNING revision
),
-- include: audit/evidence
SELECT revision FROM activation
