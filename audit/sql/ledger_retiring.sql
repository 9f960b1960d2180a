-- The only ways for rows to leave the ledger. Both look for themselves that nothing is
-- held, younger than a day or without its link, whoever calls them.

CREATE OR REPLACE FUNCTION caracal_is_held(zone text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM audit_retention
        WHERE legal_hold AND scope IN ('platform', zone)
    )
$$;

-- Removes one batch of a zone's rows that happened before a moment.
CREATE OR REPLACE FUNCTION caracal_retire_decisions(
    zone text, before timestamptz, batch integer
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    removed bigint;
BEGIN
    IF caracal_is_held(zone) OR before > now() - interval '1 day' THEN
        RETURN 0;
    END IF;
    PERFORM set_config('caracal.retiring', 'on', true);
    DELETE FROM audit_events
    WHERE id IN (
        SELECT e.id
        FROM audit_events AS e
        WHERE
            e.zone_id = zone AND e.occurred_at < before
            AND EXISTS (SELECT FROM audit_links AS l WHERE l.event_id = e.id)
        LIMIT batch
    );
    GET DIAGNOSTICS removed = ROW_COUNT;
    PERFORM set_config('caracal.retiring', 'off', true);
    RETURN removed;
END
$$;

-- Drops a month when every row of it happened before the moment of its zone, and tells
-- how many rows of which zones went. Returns nothing where one row has to stay.
CREATE OR REPLACE FUNCTION caracal_retire_ledger_partition(
    partition text, zones text[], befores timestamptz[]
) RETURNS TABLE (zone_id text, removed bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    has_to_stay boolean;
BEGIN
    IF partition !~ '^audit_events_y\d{4}m\d{2}$'
        OR to_regclass('public.' || partition) IS NULL
    THEN
        RAISE EXCEPTION '% is no month of the ledger', partition;
    END IF;
    EXECUTE format('LOCK TABLE public.%I IN ACCESS EXCLUSIVE MODE', partition);
    EXECUTE format(
        'SELECT EXISTS ('
        ' SELECT FROM public.%I AS e'
        ' LEFT JOIN unnest($1, $2) AS past (zone, before) ON past.zone = e.zone_id'
        ' WHERE coalesce(e.occurred_at >= least(past.before, now() - interval ''1 day''), true)'
        ' OR past.before IS NULL'
        ' OR NOT EXISTS (SELECT FROM public.audit_links AS l WHERE l.event_id = e.id))'
        ' OR EXISTS (SELECT FROM unnest($1) AS past (zone)'
        ' WHERE public.caracal_is_held(past.zone)'
        ' AND EXISTS (SELECT FROM public.%I AS e WHERE e.zone_id = past.zone))',
        partition, partition
    ) INTO has_to_stay USING zones, befores;
    IF has_to_stay THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT e.zone_id::text, count(*) FROM public.%I AS e GROUP BY e.zone_id', partition
    );
    EXECUTE format('DROP TABLE public.%I', partition);
END
$$;

REVOKE EXECUTE ON FUNCTION
    caracal_make_ledger_partition(date),
    caracal_retire_decisions(text, timestamptz, integer),
    caracal_retire_ledger_partition(text, text[], timestamptz[])
FROM PUBLIC;
