-- Forgets one batch of receipts past their age, oldest first by idempotency_receipts_age.
DELETE FROM idempotency_receipts
WHERE id IN (
    SELECT id FROM idempotency_receipts
    WHERE created_at < now() - make_interval(hours => %(hours)s)
    ORDER BY created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
