"""Audit rows can be added and sealed once, and nothing else, whoever writes."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "append_only.sql"


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        migrations.RunSQL(
            [(SQL.read_text(encoding="utf-8"), None)],
            """
            DROP FUNCTION caracal_refuse_change() CASCADE;
            DROP FUNCTION caracal_allow_sealing() CASCADE;
            """,
        ),
        migrations.RunSQL(
            """
            ALTER TABLE event_outbox SET (fillfactor = 70,
                autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
            ALTER TABLE event_heads SET (fillfactor = 50);
            ALTER TABLE admin_audit_events SET (fillfactor = 85);
            """,
            """
            ALTER TABLE event_outbox RESET (fillfactor, autovacuum_vacuum_scale_factor,
                autovacuum_vacuum_threshold);
            ALTER TABLE event_heads RESET (fillfactor);
            ALTER TABLE admin_audit_events RESET (fillfactor);
            """,
        ),
    ]
