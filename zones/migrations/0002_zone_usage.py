"""A row a zone that counts its live resources, instead of counting them each time."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('zones', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='ZoneUsage',
            fields=[
                ('zone', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='usage', serialize=False, to='zones.zone')),
                ('resources', models.IntegerField(default=0)),
            ],
            options={
                'db_table': 'zone_usage',
            },
        ),
        migrations.AddConstraint(
            model_name='zoneusage',
            constraint=models.CheckConstraint(condition=models.Q(('resources__gte', 0)), name='zone_usage_resources_not_negative'),
        ),
    ]
