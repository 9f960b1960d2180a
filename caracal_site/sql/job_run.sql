-- Adds runs of one job to its row. One row, by primary key.
INSERT INTO job_runs (
    name, started_at, finished_at, runs, failures, handled, backlog, last_error
)
VALUES (
    %(name)s, now() - make_interval(secs => %(seconds)s), now(),
    %(runs)s, %(failures)s, %(handled)s, %(backlog)s, %(error)s
)
ON CONFLICT (name) DO UPDATE SET
    started_at = excluded.started_at,
    finished_at = excluded.finished_at,
    runs = job_runs.runs + excluded.runs,
    failures = job_runs.failures + excluded.failures,
    handled = job_runs.handled + excluded.handled,
    backlog = excluded.backlog,
    last_error = excluded.last_error
