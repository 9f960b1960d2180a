-- The next epoch of a zone; one row by primary key.
INSERT INTO delegation_graph_epochs AS current (zone_id, epoch) VALUES (%(zone_id)s, 1)
ON CONFLICT (zone_id) DO UPDATE SET epoch = current.epoch + 1, updated_at = now()
RETURNING epoch
