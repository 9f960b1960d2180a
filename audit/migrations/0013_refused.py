"""Refused attempts are few among much, and looked for."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0012_quarantine_settled")]

    operations = [
        migrations.AddIndex(
            "adminauditevent",
            models.Index(
                fields=["zone_id", "id"],
                condition=models.Q(status_code__gte=400),
                name="admin_audit_refused",
            ),
        ),
    ]
