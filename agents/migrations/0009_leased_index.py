"""Finds live service agents, whose leases the jobs look after."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('agents', '0008_invocation_rules'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='agentsession',
            index=models.Index(condition=models.Q(('lifecycle', 'service'), ('terminated_at', None)), fields=['zone', 'id'], name='agent_sessions_leased'),
        ),
    ]
