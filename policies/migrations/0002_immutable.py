"""Versions can be added and nothing else; changes are counted; a zone activates only
what is its own."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql" / "immutable.sql"


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0002_append_only"),
        ("zones", "0006_versions"),
        ("policies", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(
            [(SQL.read_text(encoding="utf-8"), None)],
            """
            DROP TRIGGER policies_version ON policies;
            DROP TRIGGER policy_sets_version ON policy_sets;
            DROP TRIGGER policy_versions_no_change ON policy_versions;
            DROP TRIGGER policy_versions_no_truncate ON policy_versions;
            DROP TRIGGER policy_set_versions_no_change ON policy_set_versions;
            DROP TRIGGER policy_set_versions_no_truncate ON policy_set_versions;
            DROP TRIGGER policy_set_members_no_change ON policy_set_members;
            DROP TRIGGER policy_set_members_no_truncate ON policy_set_members;
            """,
        ),
        migrations.RunSQL(
            """
            ALTER TABLE policy_activations
                ADD CONSTRAINT policy_activations_set_in_zone
                    FOREIGN KEY (zone_id, policy_set_id)
                    REFERENCES policy_sets (zone_id, id),
                ADD CONSTRAINT policy_activations_version_of_set
                    FOREIGN KEY (policy_set_id, active_version_id)
                    REFERENCES policy_set_versions (policy_set_id, id),
                ADD CONSTRAINT policy_activations_shadow_of_set
                    FOREIGN KEY (policy_set_id, shadow_version_id)
                    REFERENCES policy_set_versions (policy_set_id, id);
            """,
            """
            ALTER TABLE policy_activations
                DROP CONSTRAINT policy_activations_set_in_zone,
                DROP CONSTRAINT policy_activations_version_of_set,
                DROP CONSTRAINT policy_activations_shadow_of_set;
            """,
        ),
    ]
