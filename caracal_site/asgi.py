"""The coordinator deployment, over ASGI."""

import gc
import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "caracal_site.settings")
django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402
from django.utils.module_loading import import_string  # noqa: E402

from caracal_site.coordinator.handler import LeanASGIHandler  # noqa: E402

application = LeanASGIHandler()
for companion in settings.COORDINATOR_COMPANIONS:
    import_string(companion)()

# What is loaded now stays; requests leave little behind for the collector to find.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 20)
