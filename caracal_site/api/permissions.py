"""Who may call which route of the Management API.

Decided on the resolved route: the view class, its method and the matched ``zone_id``,
never the text of the URL.
"""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from caracal_site.actors import Actor
from caracal_site.api.errors import (
    AdminTokenReadOnly,
    AdminTokenZoneMismatch,
    InvalidAdminToken,
)


def authorise(
    actor: Actor, *, zone_id: str | None, writes: bool, open_to_zones: bool = False
) -> None:
    """Refuses what the actor's token does not cover.

    Read tokens only read. A zone token reaches routes of its own zone, and routes
    without a zone that are open to every zone (templates, validation).
    """
    if writes and not actor.can_write:
        raise AdminTokenReadOnly
    if (
        not actor.is_global
        and zone_id != actor.zone_id
        and not (open_to_zones and not zone_id)
    ):
        raise AdminTokenZoneMismatch


class AdminTokenPermission(BasePermission):
    """``authorise`` for the route at hand.

    A view may set ``reads_with_post`` (actions whose POST changes nothing) and
    ``open_to_zones``; ``zone_id`` comes from the matched route.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        actor = request.auth
        if not isinstance(actor, Actor):
            raise InvalidAdminToken
        reads = request.method in SAFE_METHODS or getattr(
            view, "action", None
        ) in getattr(view, "reads_with_post", ())
        authorise(
            actor,
            zone_id=view.kwargs.get("zone_id"),
            writes=not reads,
            open_to_zones=getattr(view, "open_to_zones", False),
        )
        return True
