"""Keys there are already: since when they sign, and when they stopped at the latest."""

from django.db import migrations

SQL = """
UPDATE signing_keys SET signing_at = created_at WHERE state = 'signing';
UPDATE signing_keys SET retired_at = now() WHERE state = 'retired';
"""


class Migration(migrations.Migration):
    dependencies = [("tokens", "0005_key_times")]

    operations = [migrations.RunSQL(SQL, migrations.RunSQL.noop)]
