"""Step-up challenges count their changes."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "challenge_versions.sql"


class Migration(migrations.Migration):
    dependencies = [
        ("zones", "0006_versions"),
        ("tokens", "0003_step_up_challenges"),
    ]

    operations = [
        migrations.RunSQL(
            [(SQL.read_text(encoding="utf-8"), None)],
            "DROP TRIGGER step_up_challenges_version ON step_up_challenges;",
        ),
    ]
