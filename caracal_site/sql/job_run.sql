-- Adds runs of one job to its row. One row, by primary key. ``failure`` is what went
-- wrong in the latest of them that failed, ``error`` in the last one.
INSERT INTO job_runs (
    name, started_at, finished_at, completed_at, failed_at,
    runs, failures, handled, backlog, last_error, failure, counts
)
VALUES (
    %(name)s, now() - make_interval(secs => %(seconds)s), now(),
    CASE WHEN %(is_complete)s THEN now() END,
    CASE WHEN %(failure)s::text <> '' THEN now() END,
    %(runs)s, %(failures)s, %(handled)s, %(backlog)s, %(error)s, %(failure)s, %(counts)s
)
ON CONFLICT (name) DO UPDATE SET
    started_at = excluded.started_at,
    finished_at = excluded.finished_at,
    completed_at = coalesce(excluded.completed_at, job_runs.completed_at),
    failed_at = coalesce(excluded.failed_at, job_runs.failed_at),
    runs = job_runs.runs + excluded.runs,
    failures = job_runs.failures + excluded.failures,
    handled = job_runs.handled + excluded.handled,
    backlog = excluded.backlog,
    last_error = excluded.last_error,
    failure = coalesce(nullif(excluded.failure, ''), job_runs.failure),
    counts = (
        SELECT coalesce(jsonb_object_agg(counted.name, counted.number), '{}')
        FROM (
            SELECT key AS name, sum(value::bigint) AS number
            FROM (
                SELECT * FROM jsonb_each_text(job_runs.counts)
                UNION ALL
                SELECT * FROM jsonb_each_text(excluded.counts)
            ) AS each
            GROUP BY key
        ) AS counted
    )
