-- Whether the caller may see an edge, and whether its authority still stands.
WITH
-- include: tokens/caller
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    EXISTS (
        SELECT FROM delegation_edges a
        WHERE a.id = %(id)s AND a.zone_id = %(zone_id)s AND
            -- include: delegations/visible
    ) AS seen
FROM caller
