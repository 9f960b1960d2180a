"""Zones, applications, providers and resources count their changes."""

from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).parent.parent / "sql" / "versions.sql"
COUNTED = ("zone", "application", "provider", "resource")


class Migration(migrations.Migration):
    dependencies = [("zones", "0005_provider_secrets")]

    operations = [
        *(
            migrations.AddField(
                model_name=name,
                name="version",
                field=models.BigIntegerField(db_default=1, editable=False),
            )
            for name in COUNTED
        ),
        migrations.RunSQL(
            [(SQL.read_text(encoding="utf-8"), None)],
            "DROP FUNCTION caracal_count_change() CASCADE;",
        ),
    ]
