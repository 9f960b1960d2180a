"""An index of the few sessions that were made from another, instead of one with an entry
for every session; and none of zones alone, which the listing's begins with."""

import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("tokens", "0007_labels"),
        ("zones", "0008_zone_indexes"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="session",
            index=models.Index(
                condition=models.Q(("parent__isnull", False)),
                fields=["parent"],
                name="sessions_children",
            ),
        ),
        migrations.AlterField(
            model_name="session",
            name="parent",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="children",
                to="tokens.session",
            ),
        ),
        migrations.AlterField(
            model_name="session",
            name="zone",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="sessions",
                to="zones.zone",
            ),
        ),
    ]
