"""Finds the self-registered applications of a zone that are in force by an index."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('zones', '0003_count_resources'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='application',
            index=models.Index(condition=models.Q(('archived_at', None), ('registration_method', 'dcr')), fields=['zone', 'expires_at'], name='applications_self_registered'),
        ),
    ]
