-- Writes the links of one batch; rows by primary key, each sealed once for all.
UPDATE admin_audit_events
SET
    chain_seq = link.seq,
    content_sha256 = link.content,
    prev_content_sha256 = link.previous,
    chain_hmac = link.mac
FROM unnest(
    %(ids)s::text[], %(seqs)s::bigint[], %(contents)s::text[],
    %(previous)s::text[], %(macs)s::text[]
) AS link (id, seq, content, previous, mac)
WHERE admin_audit_events.id = link.id AND admin_audit_events.chain_seq IS NULL
