-- The jobs of the timetable without a run that came to its end for longer than each may
-- be silent. Rows by primary key.
SELECT due.name
FROM unnest(%(names)s::text[], %(seconds)s::float8[]) AS due (name, seconds)
JOIN job_runs AS job ON job.name = due.name
WHERE
    extract(epoch FROM now() - greatest(job.completed_at, job.expected_from))
    > due.seconds
ORDER BY due.name
