"""Counts the live resources there are; those of archived zones are over."""

from django.db import migrations

COUNT = """
INSERT INTO zone_usage (zone_id, resources)
SELECT zones.id, count(*)
FROM zones
INNER JOIN resources ON resources.zone_id = zones.id
WHERE zones.archived_at IS NULL AND resources.archived_at IS NULL
GROUP BY zones.id
ON CONFLICT (zone_id) DO UPDATE SET resources = excluded.resources
"""


class Migration(migrations.Migration):

    dependencies = [
        ('zones', '0002_zone_usage'),
    ]

    operations = [
        migrations.RunSQL(COUNT, 'DELETE FROM zone_usage'),
    ]
