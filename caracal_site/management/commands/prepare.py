"""``manage.py prepare``: brings a database to where the processes can start on it.

``up`` runs it by itself. A deployment with a database of its own runs it once per
release, with ``DATABASE_OWNER_URL`` set to the role that may change the schema.
"""

from __future__ import annotations

import sys
from typing import Any

from django.core import checks
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection

from caracal_site.bootstrap import seed

OLDEST_POSTGRESQL = 15


class Command(BaseCommand):
    help = "Migrates the database, grants the runtime role its rights, and seeds."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--console-user", default="admin")
        parser.add_argument(
            "--console-password-from-stdin",
            action="store_true",
            help="give a new console user the password on standard input",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        problems = [message for message in checks.run_checks() if message.is_serious()]
        if problems:
            raise CommandError(" ".join(problem.msg for problem in problems))
        from_stdin = options["console_password_from_stdin"]
        password = sys.stdin.read().strip() if from_stdin else None
        try:
            self._require_version()
            call_command("migrate", interactive=False, verbosity=options["verbosity"])
            seed(options["console_user"], password or None)
        except DatabaseError as error:
            first_line = str(error).strip().partition("\n")[0]
            raise CommandError(f"the database says: {first_line}") from error

    def _require_version(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version_num")
            version = int(cursor.fetchone()[0]) // 10_000
        if version < OLDEST_POSTGRESQL:
            raise CommandError(
                f"Caracal needs PostgreSQL {OLDEST_POSTGRESQL} or newer and this "
                f"database is version {version}."
            )
