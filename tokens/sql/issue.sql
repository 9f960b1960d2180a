-- The session behind a token and the ledger's rows about it: plain inserts.
WITH
-- include: tokens/ledger
INSERT INTO sessions (
    id, zone_id, session_type, subject_id, client_id, jti, scope, status,
    expires_at, authenticated_at
)
VALUES (
    %(sid)s, %(zone_id)s, 'application', %(sub)s, %(client_id)s, %(jti)s, %(scope)s,
    'active', to_timestamp(%(exp)s), to_timestamp(%(iat)s)
)
