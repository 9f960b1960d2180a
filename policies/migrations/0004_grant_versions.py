"""Grants count their changes."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "grant_versions.sql"


class Migration(migrations.Migration):
    dependencies = [("zones", "0006_versions"), ("policies", "0003_grants")]

    operations = [
        migrations.RunSQL(
            [(SQL.read_text(encoding="utf-8"), None)],
            """
            DROP TRIGGER delegated_grants_version ON delegated_grants;
            DROP TRIGGER provider_grants_version ON provider_grants;
            """,
        ),
    ]
