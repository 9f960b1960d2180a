-- Whether an agent session may act (contract: tokens.md 9.2).
status = 'active'
AND (expires_at IS NULL OR expires_at > now())
AND (lifecycle <> 'service' OR heartbeat_deadline_at > now())
