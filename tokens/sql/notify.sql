-- On the channel of audit/waiting.py, when the transaction commits.
SELECT pg_notify('caracal_events', %(topic)s)
