"""Django's ``migrate``, followed by what the runtime role may do with the result."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.commands import migrate
from django.db import connections

from caracal_site.roles import grant_runtime_role


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        super().handle(*args, **options)
        role = os.environ.get("CARACAL_RUNTIME_ROLE")
        if role and not options["plan"] and not options["check_unapplied"]:
            grant_runtime_role(connections[options["database"]], role)
