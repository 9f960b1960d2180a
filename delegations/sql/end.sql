-- Ends the given edges, agents and invocations, gives back the agents' places, bumps the
-- epoch once when an edge ended, and leaves the evidence. Everything by primary key; zone slots
-- are taken before application slots, as in spawn.
WITH
ended_edges AS (
    UPDATE delegation_edges SET
        status = 'revoked', revoked_at = now(), revoked_reason = %(reason)s,
        edge_version = edge_version + 1, updated_at = now()
    WHERE id = ANY (%(edge_ids)s) AND status = 'active'
    RETURNING id
),
ended_agents AS (
    UPDATE agent_sessions a SET
        status = t.status, termination_reason = t.reason, terminated_at = now(),
        transition = transition + 1, child_count = 0, updated_at = now()
    FROM unnest(%(agent_ids)s::text[], %(statuses)s::text[], %(reasons)s::text[])
        AS t (id, status, reason)
    WHERE a.id = t.id AND a.status IN ('active', 'suspended')
    RETURNING a.id
),
parents AS (
    UPDATE agent_sessions a SET child_count = greatest(a.child_count - t.ended, 0)
    FROM unnest(%(parent_ids)s::text[], %(parent_counts)s::int[]) AS t (id, ended)
    WHERE a.id = t.id
),
canceled AS (
    UPDATE agent_invocations SET
        status = %(canceled)s, completed_at = now(), updated_at = now(), due_at = NULL,
        transition = transition + 1,
        error_json = jsonb_build_object('reason', 'session_ended')
    WHERE id = ANY (%(invocation_ids)s) AND due_at IS NOT NULL
    RETURNING id
),
zone_room AS (
    UPDATE agent_capacity SET live = live - %(ended_in_zone)s
    WHERE scope_id = %(zone_id)s AND slot = %(room_slot)s AND %(ended_in_zone)s > 0
    RETURNING 1
),
application_room AS (
    UPDATE agent_capacity c SET live = live - t.ended
    FROM unnest(%(room_scopes)s::text[], %(room_counts)s::int[]) AS t (scope_id, ended)
    WHERE c.scope_id = t.scope_id AND c.slot = %(room_slot)s
        AND EXISTS (SELECT FROM zone_room)
),
epoch AS (
    INSERT INTO delegation_graph_epochs AS current (zone_id, epoch)
    SELECT %(zone_id)s, 1 WHERE cardinality(%(edge_ids)s::text[]) > 0
    ON CONFLICT (zone_id) DO UPDATE SET epoch = current.epoch + 1, updated_at = now()
    RETURNING epoch
),
evidence_patch AS (
    SELECT jsonb_build_object('epoch', (SELECT epoch FROM epoch)) AS members
),
-- include: audit/evidence
SELECT
    (SELECT count(*) FROM ended_edges) AS edges,
    (SELECT count(*) FROM ended_agents) AS agents,
    (SELECT epoch FROM epoch) AS epoch
