-- The planner's idea of how many rows some tables have; -1 when it has none yet.
SELECT relname, reltuples::float8
FROM pg_class
WHERE oid = ANY (ARRAY['event_outbox'::regclass, 'agent_invocations'::regclass])
