"""The API deployment: Management API, console and documentation, over WSGI."""

import gc
import os
from collections.abc import Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "caracal_site.settings")

respond: Any = get_wsgi_application()

from caracal_site.draining import drain  # noqa: E402

drain.prepare()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Django's application; a response that is whole is handed over whole, and its
    database connection given back before it is sent."""
    if not drain.is_arranged:
        drain.arrange()
    response = respond(environ, start_response)
    if response.streaming:
        return response  # type: ignore[no-any-return]
    content = [response.content]
    response.close()
    return content


# What is loaded now stays; requests leave little behind for the collector to find.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 20)
