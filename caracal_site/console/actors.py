"""The person at the console as an actor."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from caracal_site.actors import Actor, ActorKind


class NotSignedIn(RuntimeError):
    """A console service call without a member of staff behind it."""


def console_actor(
    user: AbstractBaseUser | AnonymousUser, *, zone_id: str | None = None
) -> Actor:
    """The actor for a signed-in member of staff.

    ``zone_id`` confines the actor to the zone of what it is about to touch, as the
    verbs of agents and delegations want it. Raises NotSignedIn.
    """
    if not (user.is_active and getattr(user, "is_staff", False)):
        raise NotSignedIn
    return Actor(
        kind=ActorKind.CONSOLE,
        id=f"console:{user.pk}",
        name=user.get_username(),
        scope="global",
        zone_id=zone_id,
        created_by="console",
    )
