"""An index of the edges that ended, for the job that removes them."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("delegations", "0003_labels")]

    operations = [
        AddIndexConcurrently(
            "delegationedge",
            models.Index(
                fields=["id"],
                condition=models.Q(("status", "active"), _negated=True),
                name="delegation_edges_ended",
            ),
        ),
    ]
