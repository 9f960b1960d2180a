-- The number of a policy's last version: one step in the index of the numbers.
SELECT coalesce(max(version), 0) FROM policy_versions WHERE policy_id = %(policy_id)s
