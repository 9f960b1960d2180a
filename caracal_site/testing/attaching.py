"""Work beside a running installation, for tools that no ``manage.py`` starts."""

from __future__ import annotations

import os
import sys

import django

from caracal_site.runtime import data_directory, load_runtime_environment


def attach() -> None:
    """Makes the database of ``CARACAL_DATA_DIR`` this process's database.

    The settings were read when the package was imported, which is too early for an
    environment that only the data directory knows: the process begins again with it.
    """
    if not os.environ.get("DATABASE_URL") and load_runtime_environment(
        data_directory()
    ):
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "caracal_site.settings")
    django.setup()
