"""What a route of the coordinator declares about itself.

The declaration is the single source for dispatch, authentication, the operator's
allow-list, the OpenAPI document and the permission table.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import msgspec
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from caracal_site.actors import Actor
from caracal_site.errors import RateLimited

PARAMETER = re.compile(r"\{(\w+)\}")


class Access(Enum):
    PUBLIC = "public"  # no token is needed or looked at
    CALLER = "caller"  # a session token of the zone, or the operator where allowed
    OPERATOR = "operator"  # the operator token alone
    METRICS = "metrics"  # the operator token or METRICS_BEARER


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A route without query parameters."""


@dataclass(slots=True)
class Call:
    """One authenticated, authorised and validated request."""

    request: HttpRequest
    params: dict[str, str]
    actor: Actor
    body: Any = None
    query: Any = None

    @property
    def zone_id(self) -> str:
        return self.params["zone_id"]


@dataclass(frozen=True, slots=True)
class Route:
    """A method on a path. ``operator`` puts it on the operator token's allow-list;
    ``body`` and ``query`` are the structs the request must fit; ``status`` is the
    answer of a success, ``also`` another one it may have; ``answer`` documents its
    JSON. ``limit`` is how many requests a minute one caller may make: of its own,
    instead of the coordinator's general one, and counted together with all routes of
    the same ``bucket``. ``limited`` is the refusal past it. ``extra`` is for the API
    reference alone (``caracal_site.coordinator.openapi``)."""

    method: str
    path: str
    name: str
    view: Callable[[Call], Awaitable[HttpResponseBase]]
    summary: str
    access: Access = Access.CALLER
    operator: bool = False
    body: type[msgspec.Struct] | None = None
    body_optional: bool = False
    query: type[msgspec.Struct] = NoQuery
    status: int = 200
    also: int | None = None
    answer: Any = None
    errors: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    form: bool = False
    limit: Callable[[], int] | None = None
    bucket: str = ""
    limited: type[RateLimited] = RateLimited
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def pattern(self) -> str:
        """The path as Django's ``path()`` wants it."""
        return PARAMETER.sub(r"<\1>", self.path).lstrip("/")

    @property
    def mutates(self) -> bool:
        return self.method not in ("GET", "HEAD")
