INSERT INTO sessions (
    id, zone_id, session_type, subject_id, client_id, jti, scope, status,
    agent_session_id, delegation_edge_id, expires_at, authenticated_at, parent_id
)
SELECT
    %(sid)s, %(zone_id)s::text, %(session_type)s, %(sub)s, %(client_id)s::text,
    %(jti)s, %(scope)s, 'active', %(agent_session_id)s::text,
    %(delegation_edge_id)s::text, to_timestamp(%(exp)s), to_timestamp(%(iat)s),
    %(parent_id)s
FROM allowed
