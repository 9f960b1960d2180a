"""Edges refer to rows their own statements have locked: no second look by triggers."""

from django.db import migrations, models
from django.db.models.deletion import PROTECT


def reference(to: str, related_name: str, *, null: bool = False) -> models.ForeignKey:
    return models.ForeignKey(
        to,
        PROTECT,
        null=null,
        related_name=related_name,
        db_constraint=False,
        db_index=False,
    )


class Migration(migrations.Migration):
    dependencies = [("agents", "0002_storage"), ("delegations", "0001_initial")]

    operations = [
        migrations.AlterField(
            "delegationedge",
            "source_session",
            reference("agents.agentsession", "outbound_edges"),
        ),
        migrations.AlterField(
            "delegationedge",
            "target_session",
            reference("agents.agentsession", "inbound_edges"),
        ),
        migrations.AlterField(
            "delegationedge",
            "parent_edge",
            reference("delegations.delegationedge", "child_edges", null=True),
        ),
    ]
