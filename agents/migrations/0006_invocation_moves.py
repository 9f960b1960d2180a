"""What moves invocations on, and who made them."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0005_service_leases"), ("zones", "0001_initial")]

    operations = [
        migrations.RemoveConstraint(
            model_name='invocation',
            name='agent_invocations_idempotency_key',
        ),
        migrations.RemoveConstraint(
            model_name='invocation',
            name='agent_invocations_status_known',
        ),
        migrations.RemoveIndex(
            model_name='invocation',
            name='agent_invocations_open',
        ),
        migrations.AddField(
            model_name='invocation',
            name='application',
            field=models.ForeignKey(db_constraint=False, db_index=False, default='', on_delete=django.db.models.deletion.PROTECT, related_name='invocations', to='zones.application'),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='invocation',
            name='due_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='invocation',
            name='fingerprint',
            field=models.TextField(db_default='', default=''),
        ),
        migrations.AddField(
            model_name='invocation',
            name='not_before_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='invocation',
            name='transition',
            field=models.IntegerField(db_default=0, default=0),
        ),
        migrations.AlterField(
            model_name='invocation',
            name='attempts',
            field=models.IntegerField(db_default=0, default=0),
        ),
        migrations.AlterField(
            model_name='invocation',
            name='service',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='invocations', to='agents.agentservice'),
        ),
        migrations.AlterField(
            model_name='invocation',
            name='source_session',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='outgoing_invocations', to='agents.agentsession'),
        ),
        migrations.AlterField(
            model_name='invocation',
            name='target_session',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='incoming_invocations', to='agents.agentsession'),
        ),
        migrations.AlterField(
            model_name='invocation',
            name='zone',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='invocations', to='zones.zone'),
        ),
    ]
