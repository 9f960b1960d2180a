-- The hashed bytes of a row ``e`` of the ledger (contract: audit-and-events.md 4.6): its
-- values, each followed by 0x1F, and the time in nanoseconds. That byte inside a value
-- is written as \u001f, as inside JSON, so that nothing moves from one value to the next.
convert_to(
    concat(
        e.id, chr(31), e.zone_id, chr(31),
        replace(e.event_type, chr(31), '\u001f'), chr(31),
        replace(e.request_id, chr(31), '\u001f'), chr(31),
        replace(e.decision, chr(31), '\u001f'), chr(31),
        e.policy_set_id, chr(31), e.policy_set_version_id, chr(31),
        replace(e.manifest_sha, chr(31), '\u001f'), chr(31),
        replace(e.evaluation_status, chr(31), '\u001f'), chr(31),
        coalesce(e.determining_policies_json::text, 'null'), chr(31),
        coalesce(e.diagnostics_json::text, 'null'), chr(31),
        coalesce(e.metadata_json::text, 'null'), chr(31),
        trunc(extract(epoch FROM e.occurred_at) * 1000000000)
    ),
    'UTF8'
)
