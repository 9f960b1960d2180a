-- What the registration of an endpoint asks: the caller, the application, locked against
-- being archived, and whether it has the endpoint already. By primary key and by
-- agent_services_endpoint_key.
WITH
-- include: tokens/caller
,
application AS (
    SELECT p.id FROM applications p
    WHERE p.id = %(application_id)s AND p.zone_id = %(zone_id)s AND p.archived_at IS NULL
        AND (p.expires_at IS NULL OR p.expires_at > now())
    FOR SHARE
)
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    EXISTS (SELECT FROM application) AS application_live,
    (
        SELECT s.id FROM agent_services s
        WHERE s.zone_id = %(zone_id)s AND s.application_id = %(application_id)s
            AND s.endpoint_url = %(endpoint_url)s AND s.deregistered_at IS NULL
    ) AS service_id
FROM caller
