-- The months the ledger has partitions for, oldest first.
SELECT
    c.relname::text,
    to_date(substr(c.relname, 15), 'YYYY"m"MM') AS month
FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'audit_events'::regclass AND c.relname ~ '^audit_events_y\d{4}m\d{2}$'
ORDER BY c.relname
