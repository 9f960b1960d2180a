-- Parked events (event_outbox_parked) and the age of the workers' heartbeat in seconds.
SELECT
    (SELECT count(*) FROM event_outbox WHERE parked_at IS NOT NULL),
    (
        SELECT extract(epoch FROM now() - finished_at)::float8
        FROM job_runs
        WHERE name = %(name)s
    )
