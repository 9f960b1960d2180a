"""Leaves half of each page free: the agents of a tree lie side by side, and to suspend
or to resume it writes all of them again at once."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("agents", "0003_live_indexes")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE agent_sessions SET (fillfactor = 50);",
            "ALTER TABLE agent_sessions SET (fillfactor = 85);",
        ),
    ]
