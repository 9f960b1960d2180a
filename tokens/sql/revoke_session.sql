-- One session of a client, found by its primary key, with its descendants.
WITH RECURSIVE
chosen AS (
    SELECT id
    FROM sessions
    WHERE id = %(session_id)s AND zone_id = %(zone_id)s AND client_id = %(client_id)s
    UNION
    SELECT child.id
    FROM sessions AS child
    INNER JOIN chosen ON child.parent_id = chosen.id
),
-- include: tokens/end_chosen
