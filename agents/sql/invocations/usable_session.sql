-- Of agent sessions under the name a: who may take part in a call.
a.status = 'active'
AND (a.expires_at IS NULL OR a.expires_at > now())
AND (a.lifecycle <> 'service' OR a.heartbeat_deadline_at > now())
