-- Every job's row; there are as many as there are jobs.
SELECT
    name, runs, failures, handled, backlog,
    coalesce(extract(epoch FROM now() - finished_at), 0)::float8,
    coalesce(extract(epoch FROM finished_at - started_at), 0)::float8,
    extract(epoch FROM now() - greatest(completed_at, expected_from))::float8,
    counts::text
FROM job_runs
ORDER BY name
