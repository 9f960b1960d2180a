-- The application behind a client id. Columns in the order of clients.COLUMNS, then the
-- time.
WITH
-- include: tokens/known_client
SELECT known.*, now() FROM known
