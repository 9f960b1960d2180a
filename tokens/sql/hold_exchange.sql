-- Keeps what an exchange is decided by until the transaction ends.
WITH
-- include: tokens/held
SELECT 1 FROM standing
