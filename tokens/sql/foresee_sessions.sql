-- What revoke_sessions would end.
WITH RECURSIVE
-- include: tokens/falling_sessions
SELECT sessions.id
FROM sessions
INNER JOIN chosen ON chosen.id = sessions.id
WHERE sessions.status = 'active'
ORDER BY sessions.id
