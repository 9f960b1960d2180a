"""Who acts. Every service takes an ``actor``; authority is read from it alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

SPAWN_FOR = "coordinator.spawn_for:"
COORDINATOR_ADMIN = "coordinator.admin"


class ActorKind(StrEnum):
    ADMIN_TOKEN = "admin_token"  # noqa: S105 - a bearer of the Management API
    CONSOLE = "console"  # a person signed in to the admin console
    APPLICATION = "application"  # a session token at the coordinator
    OPERATOR = "operator"  # the coordinator's static operator token
    SYSTEM = "system"  # a job or a command of the platform itself
    STRANGER = "stranger"  # somebody who did not authenticate


@dataclass(frozen=True, slots=True)
class Actor:
    """An authenticated caller.

    ``id``, ``name`` and ``scope`` are what the audit trail shows. ``zone_id`` is the
    only zone the actor may touch, or None for all zones. ``can_write`` is False for
    read-only admin tokens. The rest is set for callers of the coordinator:
    ``client_id`` is the acting application, ``session_id`` its authority session
    (``sid``), ``key_id`` the key that signed its token, ``agent_session_id`` and
    ``delegation_edge_id`` what the token is bound to.

    A trusted web console may say for which of its accounts a call is: then
    ``account_id`` confines the actor to the zones of that account, and ``author`` is
    the person named as maker of what the call creates; ``by_operator`` that an
    assistant made it with them.
    """

    kind: ActorKind
    id: str
    name: str
    scope: str = ""
    zone_id: str | None = None
    can_write: bool = True
    created_by: str = ""
    client_id: str = ""
    scopes: frozenset[str] = field(default_factory=frozenset)
    session_id: str | None = None
    root_session_id: str | None = None
    agent_session_id: str | None = None
    delegation_edge_id: str | None = None
    key_id: str | None = None
    account_id: str | None = None
    author: str = ""
    by_operator: bool = False

    @property
    def authored_by(self) -> str:
        """Whom to name as the maker of what this call creates."""
        return self.author or self.name

    @property
    def is_global(self) -> bool:
        """Whether the actor may touch every zone."""
        return self.zone_id is None

    @property
    def is_bootstrap(self) -> bool:
        """Whether this is the platform's own provisioner, which may use its names."""
        return self.kind is ActorKind.SYSTEM or self.created_by == "env-bootstrap"

    @property
    def is_operator(self) -> bool:
        return self.kind in (ActorKind.OPERATOR, ActorKind.CONSOLE, ActorKind.SYSTEM)

    @property
    def sees_whole_zone(self) -> bool:
        """Whether reads of the coordinator show every application's rows (D11)."""
        return self.is_operator or COORDINATOR_ADMIN in self.scopes

    def owns_application(self, application_id: str) -> bool:
        return bool(self.client_id) and self.client_id == application_id

    def has_scope(self, scope: str) -> bool:
        """Whole-string membership; the empty scope never matches."""
        return bool(scope) and scope in self.scopes

    def acts_for(self, application_id: str) -> bool:
        """Owns the application, or holds ``coordinator.spawn_for:`` it."""
        return self.owns_application(application_id) or self.has_scope(
            SPAWN_FOR + application_id
        )


def system(name: str) -> Actor:
    """The platform itself, for jobs and commands."""
    return Actor(kind=ActorKind.SYSTEM, id="caracal-system", name=name, scope="system")


def operator(zone_id: str, lifecycle_scope: str) -> Actor:
    """The bearer of the coordinator's static operator token, in one zone."""
    scopes = frozenset({lifecycle_scope, COORDINATOR_ADMIN})
    return Actor(
        kind=ActorKind.OPERATOR,
        id="caracal-operator",
        name="caracal-operator",
        scope=f"{lifecycle_scope} {COORDINATOR_ADMIN}",
        zone_id=zone_id,
        client_id="caracal-operator",
        scopes=scopes,
    )
