-- Every link of a zone in order, with its row as it is hashed; null where that is gone.
COPY (
    SELECT
        l.seq, l.content,
        CASE WHEN e.id IS NOT NULL THEN
            row_to_json(
                (
                    SELECT record FROM (
                        SELECT
                            e.id, e.zone_id, e.event_type, e.request_id, e.decision,
                            e.policy_set_id, e.policy_set_version_id, e.manifest_sha,
                            e.evaluation_status,
                            e.determining_policies_json::text
                                AS determining_policies_json,
                            e.diagnostics_json::text AS diagnostics_json,
                            e.metadata_json::text AS metadata_json,
                            trunc(extract(epoch FROM e.occurred_at) * 1000000000)::text
                                AS occurred_at_ns
                    ) AS record
                )
            )::text
        END
    FROM audit_links AS l
    LEFT JOIN audit_events AS e ON e.id = l.event_id AND e.zone_id = l.zone_id
    WHERE l.zone_id = {zone_id}
    ORDER BY l.seq
) TO STDOUT (FORMAT BINARY)
