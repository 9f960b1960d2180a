-- The session behind a token and the ledger's rows about it: plain inserts. No session
-- is made, and so all taken back, when other policies are in force than decided.
WITH
-- include: tokens/ledger
INSERT INTO sessions (
    id, zone_id, session_type, subject_id, client_id, jti, scope, status,
    agent_session_id, delegation_edge_id, expires_at, authenticated_at, parent_id
)
SELECT
    %(sid)s, %(zone_id)s::text, %(session_type)s, %(sub)s, %(client_id)s, %(jti)s,
    %(scope)s, 'active', %(agent_session_id)s, %(delegation_edge_id)s,
    to_timestamp(%(exp)s), to_timestamp(%(iat)s), %(parent_id)s
WHERE
-- include: tokens/policies_stand
