"""Finds live agents by the time of their end, which suspending does not change: so that
rows may rest and go on without a new entry in every index.
"""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('agents', '0002_storage'),
    ]

    operations = [
        RemoveIndexConcurrently(
            model_name='agentsession',
            name='agent_sessions_expiring',
        ),
        AddIndexConcurrently(
            model_name='agentsession',
            index=models.Index(condition=models.Q(('expires_at__isnull', False), ('terminated_at', None)), fields=['expires_at'], name='agent_sessions_expiring'),
        ),
        AddIndexConcurrently(
            model_name='agentsession',
            index=models.Index(condition=models.Q(('terminated_at', None)), fields=['application', 'subject_session'], name='agent_sessions_standing'),
        ),
    ]
