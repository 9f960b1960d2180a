-- Invocations by status among a sample of their table's pages.
SELECT status, count(*)
FROM agent_invocations TABLESAMPLE SYSTEM (%(percent)s::real)
GROUP BY status
