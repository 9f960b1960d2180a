-- Keeps the newest signed head beside each chain.
UPDATE audit_chains
SET head_json = signed.head::jsonb
FROM unnest(%(zones)s::text[], %(heads)s::text[]) AS signed (zone_id, head)
WHERE audit_chains.zone_id = signed.zone_id
