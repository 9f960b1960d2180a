-- Moves the ends of some chains on; one row a zone.
INSERT INTO audit_chains (zone_id, seq, content, peaks, sealed_at)
SELECT zone_id, seq, content, peaks, now()
FROM unnest(
    %(zones)s::text[], %(seqs)s::bigint[], %(contents)s::bytea[], %(peaks)s::bytea[]
) AS t (zone_id, seq, content, peaks)
ON CONFLICT (zone_id) DO UPDATE
SET
    seq = excluded.seq, content = excluded.content, peaks = excluded.peaks,
    sealed_at = excluded.sealed_at
