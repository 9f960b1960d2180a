ledger AS (
    -- One exchange's rows, a summary and one a resource at most, given as a JSON array.
    INSERT INTO audit_events (
        id, zone_id, event_type, request_id, decision, policy_set_id,
        policy_set_version_id, manifest_sha, evaluation_status,
        determining_policies_json, diagnostics_json, metadata_json
    )
    SELECT
        id, zone_id, event_type, request_id, decision, policy_set_id,
        policy_set_version_id, manifest_sha, evaluation_status,
        determining_policies_json, diagnostics_json, metadata_json
    FROM allowed, json_to_recordset(%(ledger)s::json) AS t (
        id text, zone_id text, event_type text, request_id text, decision text,
        policy_set_id text, policy_set_version_id text, manifest_sha text,
        evaluation_status text, determining_policies_json jsonb,
        diagnostics_json jsonb, metadata_json jsonb
    )
)
