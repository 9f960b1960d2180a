"""The ledger of decisions lies in months, so that old ones can be dropped whole."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql"

INDEXES = """
ALTER TABLE audit_events ADD CONSTRAINT audit_events_pkey PRIMARY KEY (id);
CREATE INDEX audit_events_listing
    ON audit_events (zone_id, occurred_at DESC, id DESC);
CREATE INDEX audit_events_request ON audit_events (zone_id, request_id, occurred_at);
"""

ASIDE = """
ALTER TABLE audit_events RENAME TO audit_events_before;
ALTER TABLE audit_events_before
    RENAME CONSTRAINT audit_events_pkey TO audit_events_before_pkey;
ALTER INDEX audit_events_listing RENAME TO audit_events_before_listing;
ALTER INDEX audit_events_request RENAME TO audit_events_before_request;
"""

PARTITIONED = (
    ASIDE
    + """
CREATE TABLE audit_events (LIKE audit_events_before INCLUDING DEFAULTS)
    PARTITION BY RANGE (id);
"""
    + INDEXES
    + """
CREATE TABLE audit_events_default PARTITION OF audit_events DEFAULT;
CREATE TRIGGER audit_events_no_change
    BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION caracal_refuse_ledger_change();
CREATE TRIGGER audit_events_no_truncate
    BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION caracal_refuse_change();
CREATE TRIGGER audit_events_no_truncate
    BEFORE TRUNCATE ON audit_events_default
    FOR EACH STATEMENT EXECUTE FUNCTION caracal_refuse_change();
INSERT INTO audit_events SELECT * FROM audit_events_before;
SELECT caracal_make_ledger_partition(month::date)
FROM generate_series(
    date_trunc('month', least(now(), (
        SELECT min(occurred_at) FROM audit_events_before
        WHERE occurred_at > now() - interval '2 years'
    )) AT TIME ZONE 'UTC'),
    now() AT TIME ZONE 'UTC' + interval '3 months',
    interval '1 month'
) AS month;
DROP TABLE audit_events_before;
"""
)

WHOLE = (
    ASIDE
    + """
CREATE TABLE audit_events (LIKE audit_events_before INCLUDING DEFAULTS);
INSERT INTO audit_events SELECT * FROM audit_events_before;
DROP TABLE audit_events_before;
"""
    + INDEXES
    + """
CREATE TRIGGER audit_events_no_change
    BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION caracal_refuse_change();
CREATE TRIGGER audit_events_no_truncate
    BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION caracal_refuse_change();
DROP FUNCTION caracal_make_ledger_partition(date);
DROP FUNCTION caracal_refuse_ledger_change();
DROP FUNCTION caracal_first_id_at(timestamptz);
"""
)


class Migration(migrations.Migration):
    dependencies = [("audit", "0004_retention")]

    operations = [
        migrations.RunSQL(
            [
                ((SQL / "ledger_partitions.sql").read_text(encoding="utf-8"), None),
                (PARTITIONED, None),
            ],
            WHOLE,
        ),
    ]
