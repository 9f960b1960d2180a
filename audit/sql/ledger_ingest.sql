-- Adds decisions of other producers, given as a JSON array; an id that is there already
-- is left as it is. Bounded by one batch. A zone that is not there takes nothing.
INSERT INTO audit_events (
    id, zone_id, event_type, request_id, decision, policy_set_id,
    policy_set_version_id, manifest_sha, evaluation_status,
    determining_policies_json, diagnostics_json, metadata_json, occurred_at
)
SELECT
    t.id, t.zone_id, t.event_type, t.request_id, t.decision, t.policy_set_id,
    t.policy_set_version_id, t.manifest_sha, t.evaluation_status,
    nullif(t.determining_policies_json, 'null'), nullif(t.diagnostics_json, 'null'),
    nullif(t.metadata_json, 'null'), t.occurred_at
FROM jsonb_to_recordset(%(rows)s::jsonb) AS t (
    id text, zone_id text, event_type text, request_id text, decision text,
    policy_set_id text, policy_set_version_id text, manifest_sha text,
    evaluation_status text, determining_policies_json jsonb,
    diagnostics_json jsonb, metadata_json jsonb, occurred_at timestamptz
)
JOIN zones ON zones.id = t.zone_id
ON CONFLICT (id) DO NOTHING
RETURNING id
