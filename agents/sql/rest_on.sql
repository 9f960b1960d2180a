-- Makes an agent that rests because its lease ran out rest for another reason, so that its
-- heartbeat does not resume it. The agent is locked. By primary key.
UPDATE agent_sessions SET suspend_reason = %(reason)s, updated_at = now()
WHERE id = %(id)s AND status = 'suspended' AND suspend_reason = %(was)s
