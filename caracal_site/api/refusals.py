"""What is left of a refused request: a count, a log line, or a row of evidence (D23).

Of known callers, what they tried to change and what they were not allowed to see are
recorded, in a transaction of their own; a read of what is not there is not. Anonymous
requests write nothing to the zone they name, so that nobody can fill its trail without
a credential.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from http import HTTPStatus

from django.conf import settings
from django.db import DatabaseError
from django.utils.module_loading import import_string
from prometheus_client import Counter
from psycopg_pool import PoolTimeout

from caracal_site import context
from caracal_site.actors import Actor
from caracal_site.errors import CaracalError
from caracal_site.ids import is_id

# A collection of a route and the parameter with the id of one of its things.
THING = re.compile(r"([a-z-]+)/<(?:str:)?(\w+)>")

log = logging.getLogger(__name__)
anonymous = Counter(
    "caracal_api_anonymous_refusals",
    "Requests of the Management API refused before the caller was known.",
    ["error"],
)


def entity_of(route: str, parameters: Mapping[str, str]) -> tuple[str, str] | None:
    """What a request to a resolved route is about: the innermost thing it names, as
    (collection, id). None when it names nothing, or nothing that could be an id."""
    for collection, name in reversed(THING.findall(route)):
        value = parameters.get(name, "")
        return (collection, value) if is_id(value) else None
    return None


def note(
    error: CaracalError,
    *,
    actor: Actor | None,
    mutates: bool,
    zone_id: str | None,
    entity: tuple[str, str] | None,
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
    is_evidence = mutates or error.status == HTTPStatus.FORBIDDEN
    if error.status == HTTPStatus.TOO_MANY_REQUESTS or not is_evidence:
        return
    try:
        recorder = import_string(settings.REFUSAL_RECORDER)
        recorder(actor, error, zone_id=zone_id, entity=entity)
    except (DatabaseError, PoolTimeout):
        log.warning("refusal not recorded", extra={"code": error.code})
