-- Published events among a sample of the outbox's pages.
SELECT count(*) FILTER (WHERE published_at IS NOT NULL)
FROM event_outbox TABLESAMPLE SYSTEM (%(percent)s::real)
