-- Removes one batch of a zone's oldest rows; see ledger_retiring.sql.
SELECT caracal_retire_decisions(%(zone_id)s, %(before)s, %(limit)s)
