-- Of agent services under the name s: what can be called.
s.deregistered_at IS NULL
AND EXISTS (
    SELECT FROM applications p
    WHERE p.id = s.application_id AND p.archived_at IS NULL
        AND (p.expires_at IS NULL OR p.expires_at > now())
)
