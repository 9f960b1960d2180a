-- Drops one month when all of it is past; see ledger_retiring.sql.
SELECT zone_id, removed
FROM caracal_retire_ledger_partition(
    %(partition)s, %(zones)s::text[], %(befores)s::timestamptz[]
)
