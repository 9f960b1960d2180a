"""What the flat ``/v1`` calls have in common: they name their zone in the body.

They are other spellings of the routes of the zone, for clients without an SDK: the same
services, the same answers and refusals, and one bucket of requests a caller for all of
them together.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from django.conf import settings
from msgspec import Meta

from caracal_site.coordinator.errors import ZoneMismatch
from caracal_site.coordinator.routes import Call, Route
from caracal_site.errors import InvalidParams
from caracal_site.ids import is_id

# Any text: what is no id of the caller's zone is refused as such (ZoneMismatch).
ZoneId = Annotated[str, Meta(min_length=1)]
# What stands in the path of the route of the zone, and must fit there.
PathId = Annotated[str, Meta(min_length=1)]


def _limit() -> int:
    return int(settings.V1_RATE_LIMIT_PER_MIN)


flat_route: partial[Route] = partial(
    Route, "POST", limit=_limit, bucket="v1", tags=("flat calls",)
)


def zone_of(call: Call) -> str:
    """The zone the body names, which is the caller's own. Raises ZoneMismatch."""
    zone_id: Any = call.body.zone_id
    if zone_id != call.actor.zone_id:
        raise ZoneMismatch
    return str(zone_id)


def path_id(value: str) -> str:
    """``value`` if it could stand in a path. Raises InvalidParams."""
    if not is_id(value):
        raise InvalidParams
    return value
