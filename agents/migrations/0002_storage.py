"""Room for in-place updates in the tables whose rows change often."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("agents", "0001_initial")]

    operations = [
        migrations.RunSQL(
            """
            ALTER TABLE agent_capacity SET (fillfactor = 20, autovacuum_vacuum_scale_factor = 0,
                autovacuum_vacuum_threshold = 5000);
            ALTER TABLE agent_sessions SET (fillfactor = 85);
            """,
            """
            ALTER TABLE agent_capacity RESET (fillfactor, autovacuum_vacuum_scale_factor,
                autovacuum_vacuum_threshold);
            ALTER TABLE agent_sessions RESET (fillfactor);
            """,
        ),
    ]
