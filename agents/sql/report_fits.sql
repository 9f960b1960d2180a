-- Of service records s: what a heartbeat says leaves the metadata within its bounds, or makes
-- it no larger.
(
    %(metadata)s::jsonb = '{}'
    OR octet_length(((s.metadata_json || %(metadata)s::jsonb) - %(dropped)s::text[])::text)
        <= greatest(%(metadata_bytes)s::integer, octet_length(s.metadata_json::text))
)
