-- Whether what was decided by is still in force, once the zone is share-locked.
coalesce(
    (SELECT revision FROM policy_activations WHERE zone_id = %(zone_id)s::text), 0
) = %(policy_revision)s
