-- Takes the place of one more live resource in a zone: no row when all are taken. One row by its
-- primary key, locked until the commit, so that the limit (0 is none) is exact.
INSERT INTO zone_usage AS held (zone_id, resources)
VALUES (%(zone_id)s, 1)
ON CONFLICT (zone_id) DO UPDATE SET resources = held.resources + 1
WHERE %(most)s = 0 OR held.resources < %(most)s
