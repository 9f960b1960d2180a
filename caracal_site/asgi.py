"""The coordinator deployment, over ASGI."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "caracal_site.settings")
django.setup(set_prefix=False)

from caracal_site.coordinator.handler import LeanASGIHandler  # noqa: E402

application = LeanASGIHandler()
