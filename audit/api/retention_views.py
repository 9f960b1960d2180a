"""How long decisions are kept, on the Management API."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit import retention
from caracal_site.api.fields import FlagField, StrictSerializer, TextField, WholeField
from caracal_site.api.schema import described
from caracal_site.api.views import ApiViewSet, ZoneScopedViewSet
from caracal_site.times import to_wire

BY_REQUEST = "changed through the Management API"
MOST_DAYS = 2**31 - 1
MAX_REASON = 500


class RetentionSerializer(StrictSerializer):
    """What counts on the platform."""

    retention_days = WholeField(minimum=1, maximum=MOST_DAYS)
    legal_hold = FlagField(required=False)
    reason = TextField(min_length=1, max_length=MAX_REASON, trim=True, required=False)


class ZoneRetentionSerializer(StrictSerializer):
    """What counts in a zone; null days are the platform's."""

    retention_days = WholeField(
        minimum=1, maximum=MOST_DAYS, required=False, allow_null=True
    )
    legal_hold = FlagField(required=False)
    reason = TextField(min_length=1, max_length=MAX_REASON, trim=True, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.keys() & {"retention_days", "legal_hold"}:
            raise serializers.ValidationError(
                "expected retention_days or legal_hold or both"
            )
        return attrs


_members: dict[str, serializers.Field[Any, Any, Any, Any]] = {
    "retention_days": serializers.IntegerField(),
    "max_days": serializers.IntegerField(),
    "updated_at": serializers.DateTimeField(allow_null=True),
    "legal_hold": serializers.BooleanField(),
    "shortens_at": serializers.DateTimeField(
        allow_null=True, help_text="When a shorter time begins to count."
    ),
}
RetentionShape = inline_serializer("AuditRetention", _members)
ZoneRetentionShape = inline_serializer(
    "ZoneAuditRetention",
    {**_members, "inherited": serializers.BooleanField()},
)


def shown(found: retention.Retention) -> dict[str, Any]:
    return {
        "retention_days": found.days,
        "max_days": settings.AUDIT_RETENTION_DAYS,
        "updated_at": to_wire(found.updated_at),
        "legal_hold": found.legal_hold,
        "shortens_at": to_wire(found.shortens_at),
    }


class AuditRetentionViewSet(ApiViewSet):
    """How long decisions are kept where a zone says nothing else."""

    model = "audit.auditretention"

    @described("Get the retention of decisions", answer=RetentionShape)
    def retrieve(self, request: Request) -> Response:
        return Response(shown(retention.of_platform()))

    @described(
        "Set the retention of decisions",
        body=RetentionSerializer,
        answer=RetentionShape,
        refusals=(400, 413, 415),
    )
    def replace(self, request: Request) -> Response:
        changes = self.body(RetentionSerializer)
        reason = changes.pop("reason", BY_REQUEST)
        return Response(
            shown(
                retention.change_retention(
                    zone_id=None, actor=self.actor, changes=changes, reason=reason
                )
            )
        )


class ZoneAuditRetentionViewSet(ZoneScopedViewSet):
    """How long decisions are kept in a zone."""

    model = "audit.auditretention"

    @extend_schema(operation_id="zone_audit_retention_retrieve")
    @described(
        "Get the retention of a zone's decisions",
        answer=ZoneRetentionShape,
        refusals=(404,),
    )
    def retrieve(self, request: Request, zone_id: str) -> Response:
        found = retention.of_zone(zone_id)
        return Response({**shown(found), "inherited": found.is_inherited})

    @extend_schema(operation_id="zone_audit_retention_update")
    @described(
        "Set the retention of a zone's decisions",
        body=ZoneRetentionSerializer,
        answer=ZoneRetentionShape,
        refusals=(400, 404, 413, 415),
    )
    def replace(self, request: Request, zone_id: str) -> Response:
        changes = self.body(ZoneRetentionSerializer)
        reason = changes.pop("reason", BY_REQUEST)
        found = retention.change_retention(
            zone_id=zone_id, actor=self.actor, changes=changes, reason=reason
        )
        return Response({**shown(found), "inherited": found.is_inherited})
