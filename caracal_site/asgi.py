"""The coordinator deployment, over ASGI."""

import gc
import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "caracal_site.settings")
django.setup(set_prefix=False)

from caracal_site.coordinator.handler import LeanASGIHandler  # noqa: E402

application = LeanASGIHandler()

# What is loaded now stays; requests leave little behind for the collector to find.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 20)
