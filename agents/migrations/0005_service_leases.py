"""Service records have leases and may be deregistered."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0004_room_for_turns")]

    operations = [
        migrations.RemoveConstraint(
            model_name='agentservice',
            name='agent_services_endpoint_key',
        ),
        migrations.AddField(
            model_name='agentservice',
            name='active_invocations',
            field=models.IntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='agentservice',
            name='deregistered_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='agentservice',
            name='deregistration_reason',
            field=models.TextField(null=True),
        ),
        migrations.AddField(
            model_name='agentservice',
            name='lease_expires_at',
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
        ),
        migrations.AddConstraint(
            model_name='agentservice',
            constraint=models.UniqueConstraint(condition=models.Q(('deregistered_at', None)), fields=('zone', 'application', 'endpoint_url'), name='agent_services_endpoint_key'),
        ),
    ]
