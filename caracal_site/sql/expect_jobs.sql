-- A row for every job of the timetable. When no heartbeat has come for a while nothing
-- has run, whatever the reason: all jobs are expected from now on. As many rows as there
-- are jobs, by primary key; none is written while the heart beats.
INSERT INTO job_runs (name, runs, failures, handled, backlog, last_error, failure)
SELECT name, 0, 0, 0, 0, '', ''
FROM unnest(%(names)s::text[]) AS due (name)
WHERE
    NOT EXISTS (SELECT FROM job_runs AS known WHERE known.name = due.name)
    OR NOT EXISTS (
        SELECT FROM job_runs AS beat
        WHERE
            beat.name = %(heartbeat)s
            AND beat.finished_at > now() - make_interval(secs => %(silence)s)
    )
ORDER BY name
ON CONFLICT (name) DO UPDATE SET expected_from = now()
