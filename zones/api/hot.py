"""Lists that are read all the time, as most read them: the first page, whole.

The same rows as the list's own query finds, without building that anew each time. What
is asked otherwise, well or wrongly, is left to the list.
"""

from __future__ import annotations

from urllib.parse import urlencode

from django.conf import settings
from django.http import QueryDict
from rest_framework.request import Request
from rest_framework.response import Response

from caracal_site import cursors
from caracal_site.actors import Actor, ActorKind
from caracal_site.api.negotiation import JSON, form_of
from caracal_site.api.pagination import DEFAULT_LIMIT, MAX_LIMIT
from caracal_site.prepared import PreparedList
from zones.api import shapes
from zones.models import Resource

_all = PreparedList(
    lambda zone_id: Resource.objects.in_zone(zone_id).live().with_gateway_application(),
    columns=shapes.RESOURCE,
    arguments=("zone_id",),
)
_seen_by_zones = PreparedList(
    lambda zone_id, control: (
        Resource.objects.in_zone(zone_id)
        .live()
        .exclude(identifier=control)
        .with_gateway_application()
    ),
    columns=shapes.RESOURCE,
    arguments=("zone_id", "control"),
)


def resources(request: Request, *, zone_id: str, actor: Actor) -> Response | None:
    """The first page of a zone's resources, or None when something else is asked."""
    limit = plain_limit(request.GET)
    if limit is None or actor.kind is not ActorKind.ADMIN_TOKEN:
        return None
    if form_of(request._request, is_list=True) != JSON:
        return None
    if actor.is_global:
        page = _all.first_page(limit=limit, zone_id=zone_id)
    else:
        control = settings.CONTROL_AUDIENCE
        page = _seen_by_zones.first_page(limit=limit, zone_id=zone_id, control=control)
    if page.last is None:
        return Response(page.rows)
    last_id, at = page.last
    bound_to = cursors.fingerprint(request.path, {})
    cursor = cursors.encode(cursors.Position(last_id, at=at), bound_to)
    following = urlencode({"limit": limit, "cursor": cursor})
    link = f'<{request.path}?{following}>; rel="next"'
    return Response(page.rows, headers={"Link": link})


def plain_limit(query: QueryDict) -> int | None:
    """How many rows are asked for, where nothing else is."""
    if not query:
        return DEFAULT_LIMIT
    if query.keys() - {"limit"} or len(query.getlist("limit")) != 1:
        return None
    text = str(query["limit"])
    if not (text.isascii() and text.isdigit() and len(text) <= 3):
        return None
    return int(text) if 1 <= int(text) <= MAX_LIMIT else None
