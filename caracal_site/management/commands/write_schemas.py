"""``manage.py write_schemas``: refreshes the OpenAPI documents under ``docs/``."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from caracal_site.api import openapi as api
from caracal_site.coordinator import openapi as coordinator
from caracal_site.openapi import pretty


class Command(BaseCommand):
    help = "Writes the OpenAPI documents of both deployments to docs/."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        for name, document in schemas().items():
            (settings.BASE_DIR / "docs" / name).write_text(document, encoding="utf-8")
            self.stdout.write(f"docs/{name}")


def schemas() -> dict[str, str]:
    """The documents as they are committed, by file name."""
    return {
        "openapi-api.json": pretty(api.document()),
        "openapi-coordinator.json": pretty(coordinator.document()),
    }
