"""What holds of every invocation, and how they are found."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0007_fill_invocations")]

    operations = [
        migrations.AddIndex(
            model_name='invocation',
            index=models.Index(condition=models.Q(('due_at__isnull', False)), fields=['due_at'], name='agent_invocations_due'),
        ),
        migrations.AddIndex(
            model_name='invocation',
            index=models.Index(fields=['service', '-id'], name='agent_invocations_by_service'),
        ),
        migrations.AddIndex(
            model_name='invocation',
            index=models.Index(condition=models.Q(('source_session__isnull', False)), fields=['source_session', 'due_at'], name='agent_invocations_by_source'),
        ),
        migrations.AddIndex(
            model_name='invocation',
            index=models.Index(condition=models.Q(('target_session__isnull', False)), fields=['target_session', 'due_at'], name='agent_invocations_by_target'),
        ),
        migrations.AddConstraint(
            model_name='invocation',
            constraint=models.UniqueConstraint(fields=('service', 'application', 'idempotency_key'), name='agent_invocations_idempotency_key'),
        ),
        migrations.AddConstraint(
            model_name='invocation',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('due_at__isnull', False), ('status__in', ['pending', 'running', 'cancel_requested'])), models.Q(('due_at', None), ('status__in', ['succeeded', 'failed', 'canceled', 'timed_out', 'dead'])), _connector='OR'), name='agent_invocations_open_is_due'),
        ),
    ]
