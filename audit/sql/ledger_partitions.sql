-- The ledger lies in months by id: an id begins with the time it was made at (RFC 9562,
-- version 7), so the primary key is the id alone and the same for every month. Ids that
-- tell no time lie in audit_events_default. These functions belong to the owner of the
-- tables and are all that the role of the processes can do to partitions and old rows.

-- What every id made before a moment is less than, and no later one.
CREATE OR REPLACE FUNCTION caracal_first_id_at(moment timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT substr(stamp, 1, 8) || '-' || substr(stamp, 9, 4)
    FROM (
        SELECT lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0')
    ) AS t (stamp)
$$;

-- Rows of the ledger never change, and go only while a function below lets them.
CREATE OR REPLACE FUNCTION caracal_refuse_ledger_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('caracal.retiring', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$;

-- Makes the partition of the month ``month`` is in; false when it is there already.
-- Rows that lie in the default partition and belong to the month move there.
CREATE OR REPLACE FUNCTION caracal_make_ledger_partition(month date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    starts date := date_trunc('month', month)::date;
    lower_id text := caracal_first_id_at(starts::timestamp AT TIME ZONE 'UTC');
    upper_id text := caracal_first_id_at(
        (starts + interval '1 month')::timestamp AT TIME ZONE 'UTC'
    );
    partition text := to_char(starts, '"audit_events_y"YYYY"m"MM');
BEGIN
    IF starts > now() + interval '1 year' THEN
        RAISE EXCEPTION 'the ledger has no partition for % yet', starts;
    END IF;
    IF to_regclass('public.' || partition) IS NOT NULL THEN
        RETURN false;
    END IF;
    LOCK TABLE audit_events IN SHARE ROW EXCLUSIVE MODE;
    IF to_regclass('public.' || partition) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format(
        'CREATE TABLE public.%I (LIKE public.audit_events INCLUDING DEFAULTS)', partition
    );
    PERFORM set_config('caracal.retiring', 'on', true);
    EXECUTE format(
        'WITH moved AS (DELETE FROM public.audit_events_default'
        ' WHERE id >= %L AND id < %L RETURNING *)'
        ' INSERT INTO public.%I SELECT * FROM moved',
        lower_id, upper_id, partition
    );
    PERFORM set_config('caracal.retiring', 'off', true);
    EXECUTE format(
        'ALTER TABLE public.audit_events ATTACH PARTITION public.%I'
        ' FOR VALUES FROM (%L) TO (%L)', partition, lower_id, upper_id
    );
    EXECUTE format(
        'CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON public.%I'
        ' FOR EACH STATEMENT EXECUTE FUNCTION public.caracal_refuse_change()',
        partition
    );
    RETURN true;
END
$$;
