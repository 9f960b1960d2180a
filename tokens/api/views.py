"""Authority sessions on the Management API: to look at
(contract: audit-and-events.md 2.5)."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request

from caracal_site.api.evidence import DEFAULT_LIMIT, MAX_LIMIT, page_shape, rows_of
from caracal_site.api.pagination import Listing
from caracal_site.api.schema import described
from caracal_site.api.views import ZoneScopedViewSet
from caracal_site.times import to_wire
from tokens.filters import SessionFilter
from tokens.models import Session, SessionStatus

COLUMNS = (
    "id",
    "zone_id",
    "session_type",
    "subject_id",
    "parent_id",
    "status",
    "expires_at",
    "authenticated_at",
    "created_at",
    "revoked_at",
    "revoked_reason",
)


def as_it_stands(row: dict[str, Any]) -> dict[str, Any]:
    """A session past its time has expired, whether or not that was written down."""
    # Times of one form are in order as texts are.
    is_over = row["expires_at"] <= to_wire(timezone.now())
    if row["status"] == SessionStatus.ACTIVE and is_over:
        return {**row, "status": SessionStatus.EXPIRED.value}
    return row


SESSIONS = Listing(
    name="sessions",
    columns=COLUMNS,
    shape=as_it_stands,
    orders={"created_at": "created_at"},
    filterset=SessionFilter,
    envelope=rows_of,
    default_limit=DEFAULT_LIMIT,
    max_limit=MAX_LIMIT,
)


class SessionShape(serializers.ModelSerializer):
    """What the tokens of an exchange stand for."""

    class Meta:
        model = Session
        fields = COLUMNS


class SessionsViewSet(ZoneScopedViewSet):
    """The authority sessions of a zone, newest first."""

    model = "tokens.session"

    @described(
        "List authority sessions",
        answer=page_shape("Sessions", SessionShape()),
        listing=SESSIONS,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str) -> HttpResponseBase:
        return self.listed(Session.objects.in_zone(zone_id), SESSIONS)
