-- A page of the zone's agent services, newest first. Index: agent_services_listing.
WITH
-- include: tokens/caller
,
page AS (
    SELECT a.*, row_number() OVER (ORDER BY a.id DESC) AS place
    FROM agent_services a
    WHERE a.zone_id = %(zone_id)s
        AND (%(sees_all)s OR a.application_id = %(caller_client)s) /* where */
    ORDER BY a.id DESC
    LIMIT %(limit)s + 1
)
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    coalesce((
        SELECT json_agg(json_build_object(
            'id', a.id,
            'zone_id', a.zone_id,
            'application_id', a.application_id,
            'endpoint_url', a.endpoint_url,
            'protocol_versions', a.protocol_versions,
            'framework_name', a.framework_name,
            'framework_version', a.framework_version,
            'capabilities', a.capabilities,
            'health', a.health,
            'metadata_json', a.metadata_json,
            'last_heartbeat_at', to_char(a.last_heartbeat_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
        ) ORDER BY a.id DESC)
        FROM page a WHERE a.place <= %(limit)s
    ), '[]')::text AS items,
    (SELECT min(id) FROM page WHERE place <= %(limit)s) AS last_id,
    EXISTS (SELECT FROM page WHERE place > %(limit)s) AS more
FROM caller
