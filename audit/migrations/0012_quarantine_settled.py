"""What became of a quarantined decision: taken in after all, or dismissed."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0011_reasons")]

    operations = [
        migrations.AddField(
            "auditquarantine", "settled_at", models.DateTimeField(null=True)
        ),
        migrations.AddField(
            "auditquarantine",
            "is_taken",
            models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddIndex(
            "auditquarantine",
            models.Index(
                "id",
                condition=models.Q(settled_at=None),
                name="audit_quarantine_open",
            ),
        ),
    ]
