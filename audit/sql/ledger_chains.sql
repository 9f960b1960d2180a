-- The ends of some zones' chains, held until they have moved on.
SELECT zone_id, seq, content, peaks
FROM audit_chains
WHERE zone_id = ANY(%(zones)s::text[])
ORDER BY zone_id
FOR UPDATE
