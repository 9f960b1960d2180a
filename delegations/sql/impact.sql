-- Whether the caller may see an edge, whether its authority still stands, and the first
-- round of what could fall with the edge.
WITH RECURSIVE
-- include: tokens/caller
,
-- include: delegations/reached
SELECT
    caller.zone_live, caller.identity_live, caller.agent_live,
    EXISTS (
        SELECT FROM delegation_edges a
        WHERE a.id = %(id)s AND a.zone_id = %(zone_id)s AND
            -- include: delegations/visible
    ) AS seen,
    answer.*
FROM caller, answer
