"""What is past its retention leaves the ledger by two functions, and no other way."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "ledger_retiring.sql"


class Migration(migrations.Migration):
    dependencies = [("audit", "0007_filters")]

    operations = [
        migrations.RunSQL(
            [(SQL.read_text(encoding="utf-8"), None)],
            """
            GRANT EXECUTE ON FUNCTION caracal_make_ledger_partition(date) TO PUBLIC;
            DROP FUNCTION caracal_retire_ledger_partition(text, text[], timestamptz[]);
            DROP FUNCTION caracal_retire_decisions(text, timestamptz, integer);
            DROP FUNCTION caracal_is_held(text);
            """,
        ),
    ]
