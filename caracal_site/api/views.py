"""What every view of the Management API has in common.

A view class names its actions and routes them with ``as_view({"get": "list", ...})``;
its methods only translate. Order before an action runs (D2): authentication, rate
limit, authorisation on the resolved route, method, identifiers of the path, zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from django.apps import apps
from django.conf import settings
from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.viewsets import ViewSet

from caracal_site import context
from caracal_site.actors import Actor
from caracal_site.api import refusals
from caracal_site.api.errors import (
    InvalidAdminToken,
    SystemZoneReadOnly,
    ZoneForbidden,
)
from caracal_site.api.exports import FORMATS, export
from caracal_site.api.items import condition
from caracal_site.api.negotiation import FORMAT, JSONOrPage, form_of
from caracal_site.api.pagination import (
    Listing,
    Question,
    link_to_next,
    plain_query,
    question,
    read_page,
)
from caracal_site.errors import (
    CaracalError,
    InvalidBody,
    InvalidParams,
    InvalidQuery,
    RouteNotFound,
    ZoneNotFound,
)
from caracal_site.ids import is_id

DRY_RUN = "dry_run"


class ApiViewSet(ViewSet):
    """A view of the Management API.

    ``success_status`` is what an action answers when it is not 200; ``invalid_body``
    the error its body faults are told as; ``reads_with_post`` the actions whose POST
    changes nothing; ``open_to_zones`` lets every zone token in. ``previews`` are the
    actions that only tell what they would do when asked with ``dry_run=true``, and
    ``model`` (``app.model``) is whose permissions the console's people need here.
    """

    http_method_names = ("get", "post", "put", "patch", "delete", "head")
    content_negotiation_class = JSONOrPage
    success_status: ClassVar[Mapping[str, int]] = {"create": 201, "destroy": 204}
    reads_with_post: ClassVar[frozenset[str]] = frozenset()
    open_to_zones: ClassVar[bool] = False
    previews: ClassVar[frozenset[str]] = frozenset()
    model: ClassVar[str] = ""
    invalid_body: ClassVar[type[InvalidBody]] = InvalidBody
    invalid_params: ClassVar[type[CaracalError]] = InvalidParams

    _actor: Actor | None = None
    zone: Any = None

    @property
    def actor(self) -> Actor:
        """The authenticated caller."""
        if self._actor is None:
            raise InvalidAdminToken
        return self._actor

    @property
    def default_response_headers(self) -> dict[str, str]:
        """Not the methods there are: they stand in the refusal of another one."""
        return {"Vary": "Accept"}

    @property
    def mutates(self) -> bool:
        """Whether the request would change something."""
        reads = (
            self.request.method in SAFE_METHODS or self.action in self.reads_with_post
        )
        return not reads

    @property
    def is_preview(self) -> bool:
        """Whether the request asks what it would do, instead of doing it."""
        asked = self.request.GET.get(DRY_RUN) == "true"
        return asked and self.action in self.previews

    def perform_authentication(self, request: Request) -> None:
        auth: Any = request.auth
        self._actor = auth

    def check_permissions(self, request: Request) -> None:
        super().check_throttles(request)
        super().check_permissions(request)

    def check_throttles(self, request: Request) -> None:
        """Done before the permission, so that refused callers are limited too."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.check_route(request)
        self.check_query(request)
        context.expect_status(self.success_status.get(self.action, 200))

    def check_route(self, request: Request) -> None:
        """Refuses a method the route has not, and path parameters that are no ids."""
        if self.action is None or request.method == "OPTIONS":
            self.http_method_not_allowed(request)
        if not all(is_id(value) for value in self.kwargs.values()):
            raise self.invalid_params

    def check_query(self, request: Request) -> None:
        """Refuses a form nobody offers and, where something would change, parameters
        that are not known: who mistypes dry_run must not be taken at their word."""
        listing = getattr(getattr(self, self.action), "listing", None)
        form_of(request._request, is_list=listing is not None)
        if request.method not in SAFE_METHODS:
            known = frozenset({DRY_RUN} if self.action in self.previews else ())
            values = plain_query(request.GET, known | {FORMAT})
            if values.get(DRY_RUN, "true") not in ("true", "false"):
                raise InvalidQuery("dry_run must be true or false.")

    def listed(self, rows: QuerySet[Any], listing: Listing) -> HttpResponseBase:
        """The list of ``rows`` as the query wants it: a page, or all as a file."""
        request = self.request
        asked = question(listing, path=request.path, query=request.GET)
        form = form_of(request._request, is_list=True)
        if form in FORMATS:
            is_head = request.method == "HEAD"
            record = partial(self._record_export, asked, form)
            zone = f"-{self.zone.id}" if self.zone else ""
            name = f"{listing.name}{zone}"
            return export(asked, rows, form, name=name, is_head=is_head, record=record)
        page = read_page(asked, rows)
        if listing.envelope is not None:
            return Response(listing.envelope(page.rows, page.cursor))
        following = page.cursor and link_to_next(asked, page.cursor)
        return Response(page.rows, headers={"Link": following} if following else None)

    def _record_export(self, asked: Question, form: str) -> None:
        import_string(settings.EXPORT_RECORDER)(
            self.actor,
            zone_id=self.zone.id if self.zone else None,
            listing=asked.listing.name,
            form=form,
            asked=asked.asked,
        )

    def body(self, serializer: type[Serializer[Any]]) -> dict[str, Any]:
        """The request's body as ``serializer`` accepts it: only the members sent."""
        bound = serializer(data=self.request.data)
        bound.is_valid(raise_exception=True)
        return dict(bound.validated_data)

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        error = getattr(response, "error", None)
        if error is not None:
            known = self._actor.zone_id if self._actor else None
            match = request.resolver_match
            refusals.note(
                error,
                actor=self._actor,
                mutates=self.mutates and not self.is_preview,
                zone_id=self.zone.id if self.zone else known,
                entity=refusals.entity_of(match.route, match.kwargs) if match else None,
            )
        return response


def find_zone(request: Request, zone_id: str) -> Any:
    """The live zone, marked with ``is_reserved``, or None. Authentication by an admin
    token has looked it up on its way."""
    if hasattr(request, "zone"):
        return request.zone
    zones = apps.get_model("zones", "Zone").objects.live().marking_reserved()
    return zones.filter(id=zone_id).first()


class ZoneScopedViewSet(ApiViewSet):
    """A view of what is in one zone, which ``zone_id`` of the route names.

    ``self.zone`` is the live zone: an unknown or archived one is 404 everywhere. The
    platform's own zones are changed by the platform alone. What deleting an item would
    end can be asked beforehand.
    """

    previews: ClassVar = frozenset({"destroy"})

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.zone = find_zone(request, kwargs["zone_id"])
        is_reserved = self.zone is not None and self.zone.is_reserved
        if self.mutates and is_reserved and not self.actor.is_bootstrap:
            raise SystemZoneReadOnly
        owner = self.zone.owner_account_id if self.zone is not None else None
        if self.actor.account_id not in (None, owner) and (
            self.mutates or not is_reserved
        ):
            raise ZoneForbidden
        if self.zone is None:
            raise ZoneNotFound

    def asked(self, zone_id: str) -> dict[str, Any]:
        """What every change of an item is told besides what to change."""
        return {
            "zone_id": zone_id,
            "actor": self.actor,
            "if_match": condition(self.request),
        }


@extend_schema(exclude=True)
class UnknownRoute(ApiViewSet):
    """Every path below /v1 that is no route: known callers are told so."""

    def check_route(self, request: Request) -> None:
        raise RouteNotFound

    def refuse(self, request: Request, **kwargs: str) -> Response:
        raise RouteNotFound
