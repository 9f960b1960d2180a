"""Links, tree and ends of the chains that seal the ledger of decisions."""

from pathlib import Path

import caracal_site.ids
import django.db.models.functions.datetime
from django.db import migrations, models


SQL = Path(__file__).parent.parent / "sql" / "ledger_chain.sql"


class Migration(migrations.Migration):

    dependencies = [
        ('audit', '0005_ledger_partitions'),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditChain',
            fields=[
                ('zone_id', caracal_site.ids.IdField(db_collation='C', max_length=128, primary_key=True, serialize=False)),
                ('seq', models.BigIntegerField()),
                ('content', models.BinaryField()),
                ('peaks', models.BinaryField()),
                ('sealed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('head_json', models.JSONField(null=True)),
                ('removed_before', models.DateTimeField(null=True)),
                ('removed_mac', models.BinaryField(null=True)),
            ],
            options={
                'db_table': 'audit_chains',
            },
        ),
        migrations.RunSQL(
            [(SQL.read_text(encoding="utf-8"), None)],
            """
            DROP TRIGGER audit_events_unsealed ON audit_events;
            DROP FUNCTION caracal_queue_unsealed();
            DROP TABLE audit_tree_nodes, audit_links, audit_unsealed;
            """,
        ),
    ]
