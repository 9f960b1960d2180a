"""Step-up challenges on the Management API: who waits for a person, and the person's
answer (contract: audit-and-events.md 2.7)."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from caracal_site.api.fields import StrictSerializer, TextField
from caracal_site.api.items import item
from caracal_site.api.pagination import Listing
from caracal_site.api.schema import described
from caracal_site.api.views import ZoneScopedViewSet
from tokens import errors, services
from tokens.filters import StepUpChallengeFilter
from tokens.models import ChallengeState, StepUpChallenge
from tokens.querysets import StepUpChallengeQuerySet

REASON_LENGTH = 500
BY_REQUEST = "approved through the Management API"
COLUMNS = (
    "id",
    "zone_id",
    "session_id",
    "challenge_type",
    "metadata_json",
    "created_at",
    "expires_at",
    "satisfied_at",
    "approver_subject_id",
    "standing",
    "application_id",
    "agent_session_id",
    "delegation_edge_id",
    "ttl_seconds",
    "rejected_at",
    "rejected_by",
    "reason",
    "consumed_at",
)
SHOWN = tuple("state" if name == "standing" else name for name in COLUMNS)


def shaped(row: dict[str, Any]) -> dict[str, Any]:
    """A row as it goes out: its state is the one it has now."""
    return {
        ("state" if name == "standing" else name): value for name, value in row.items()
    }


CHALLENGES = Listing(
    name="step-up-challenges",
    columns=COLUMNS,
    shown=SHOWN,
    shape=shaped,
    orders={"created_at": "created_at", "expires_at": "expires_at"},
    filterset=StepUpChallengeFilter,
)


class StepUpChallengeShape(serializers.ModelSerializer):
    """A token request that waits for a person, or how it was answered."""

    state = serializers.ChoiceField(choices=ChallengeState.choices)

    class Meta:
        model = StepUpChallenge
        fields = SHOWN


class SatisfiedShape(serializers.Serializer):
    """The approval."""

    id = serializers.CharField()
    satisfied_at = serializers.DateTimeField()
    approver_subject_id = serializers.CharField()


class RejectedShape(serializers.Serializer):
    """The rejection."""

    id = serializers.CharField()
    rejected_at = serializers.DateTimeField()
    rejected_by = serializers.CharField()


class SatisfySerializer(StrictSerializer):
    """Why it is approved, for the audit trail."""

    reason = TextField(min_length=1, max_length=REASON_LENGTH, required=False)


class RejectSerializer(StrictSerializer):
    """Why it is rejected, for the audit trail."""

    reason = TextField(min_length=1, max_length=REASON_LENGTH)


class StepUpChallengesViewSet(ZoneScopedViewSet):
    """Token requests of the zone that need a person's approval."""

    model = "tokens.stepupchallenge"

    def rows(self) -> StepUpChallengeQuerySet:
        return StepUpChallenge.objects.in_zone(self.zone.id).with_standing()

    @described(
        "List step-up challenges",
        answer=StepUpChallengeShape,
        listing=CHALLENGES,
        refusals=(404,),
    )
    def list(self, request: Request, zone_id: str) -> HttpResponseBase:
        return self.listed(self.rows(), CHALLENGES)

    @described(
        "Get a step-up challenge",
        answer=StepUpChallengeShape,
        refusals=(400, 404),
        tagged=True,
    )
    def retrieve(self, request: Request, zone_id: str, id: str) -> Response:
        row = self.rows().filter(id=id).values(*COLUMNS, "version").first()
        if row is None:
            raise errors.ChallengeNotFound
        version = row.pop("version")
        return item(request, shaped(row), version=version)

    @described(
        "Approve the request",
        body=SatisfySerializer,
        answer=SatisfiedShape,
        refusals=(400, 404, 409, 413, 415),
        guarded=True,
    )
    def satisfy(self, request: Request, zone_id: str, id: str) -> Response:
        fields = self.body(SatisfySerializer)
        done = services.satisfy_challenge(
            id, reason=fields.get("reason", BY_REQUEST), **self.asked(zone_id)
        )
        return Response(
            {"id": done.id, "satisfied_at": done.at, "approver_subject_id": done.by}
        )

    @described(
        "Reject the request",
        body=RejectSerializer,
        answer=RejectedShape,
        refusals=(400, 404, 409, 413, 415),
        guarded=True,
    )
    def reject(self, request: Request, zone_id: str, id: str) -> Response:
        done = services.reject_challenge(
            id,
            reason=self.body(RejectSerializer)["reason"],
            **self.asked(zone_id),
        )
        return Response({"id": done.id, "rejected_at": done.at, "rejected_by": done.by})
