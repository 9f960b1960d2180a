-- How many loads of living evaluators are behind what has been in force for longer than
-- %(patience)s seconds, or failed. Bounded by the evaluators' reports.
SELECT count(*)
FROM policy_evaluators AS evaluator
INNER JOIN policy_loads AS load ON load.evaluator_id = evaluator.id
INNER JOIN policy_activations AS activation ON activation.zone_id = load.zone_id
WHERE
    evaluator.seen_at > now() - make_interval(secs => %(silent)s)
    AND (
        load.error <> ''
        OR (
            load.revision < activation.revision
            AND activation.activated_at < now() - make_interval(secs => %(patience)s)
        )
    )
