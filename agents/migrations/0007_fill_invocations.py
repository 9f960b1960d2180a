"""Invocations made before they had a caller and a time at which they are due."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("agents", "0006_invocation_moves")]

    operations = [
        migrations.RunSQL(
            """
            UPDATE agent_invocations i SET
                application_id = s.application_id,
                due_at = CASE
                    WHEN i.status IN ('pending', 'running', 'cancel_requested')
                        THEN coalesce(i.deadline_at, now())
                END
            FROM agent_services s
            WHERE s.id = i.service_id AND i.application_id = '';
            """,
            migrations.RunSQL.noop,
        ),
    ]
