"""A zone's head says which rows are on their way, instead of each row its number."""

import django.contrib.postgres.fields
from django.db import migrations, models

SENDING = """
UPDATE event_heads
SET sending = numbered.positions
FROM (
    SELECT zone_id, array_agg(position ORDER BY zone_seq) AS positions
    FROM event_outbox
    WHERE zone_seq IS NOT NULL AND published_at IS NULL AND parked_at IS NULL
    GROUP BY zone_id
) AS numbered
WHERE event_heads.zone_id = numbered.zone_id
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_append_only")]

    operations = [
        migrations.AddField(
            "eventhead", "retry_at", models.DateTimeField(null=True)
        ),
        migrations.AddField(
            "eventhead",
            "sending",
            django.contrib.postgres.fields.ArrayField(
                models.BigIntegerField(), default=list, db_default=[]
            ),
        ),
        migrations.RunSQL(SENDING, migrations.RunSQL.noop),
        migrations.RemoveIndex("outboxevent", "event_outbox_pending"),
        migrations.RemoveIndex("outboxevent", "event_outbox_published"),
        migrations.RemoveField("outboxevent", "available_at"),
        migrations.AddIndex(
            "outboxevent",
            models.Index(
                fields=["zone_id", "position"],
                condition=models.Q(published_at=None, parked_at=None),
                name="event_outbox_pending",
            ),
        ),
    ]
