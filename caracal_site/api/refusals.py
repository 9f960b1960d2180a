"""What is left of a refused request: a count, a log line, or a row of evidence (D23).

Refused attempts of known callers to change something are recorded, in a transaction
of their own. Anonymous requests write nothing to the database, so that nobody can fill
the trail of a zone without a credential.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from http import HTTPStatus

from django.conf import settings
from django.db import DatabaseError
from django.utils.module_loading import import_string
from prometheus_client import Counter
from psycopg_pool import PoolTimeout

from caracal_site import context
from caracal_site.actors import Actor
from caracal_site.errors import CaracalError

log = logging.getLogger(__name__)
anonymous = Counter(
    "caracal_api_anonymous_refusals",
    "Requests of the Management API refused before the caller was known.",
    ["error"],
)


def note(
    error: CaracalError, *, actor: Actor | None, mutates: bool, zone_id: str | None
) -> None:
    """Leaves what there is to leave about a request that ended in ``error``.

    ``zone_id`` must be a zone whose existence was established, never one that only
    stands in the path. A caller over its rate limit is counted there, not recorded.
    """
    request = context.current()
    if actor is None:
        anonymous.labels(error.code).inc()
        log.info(
            "anonymous request refused",
            extra={"code": error.code, "source": request.source},
        )
        return
    if not mutates or error.status == HTTPStatus.TOO_MANY_REQUESTS:
        return
    context.activate(replace(request, path=request.path.replace("\0", "")))
    try:
        import_string(settings.REFUSAL_RECORDER)(actor, error, zone_id=zone_id)
    except (DatabaseError, PoolTimeout):
        log.warning("refusal not recorded", extra={"code": error.code})
