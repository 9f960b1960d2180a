"""The ledger of a zone as evidence: its head, and proofs of what is in it."""

from __future__ import annotations

from typing import Any

from django.db import connection
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit.errors import EventNotSealed, LedgerBroken, LedgerEmpty
from audit.ledger import heads, proofs
from audit.models import AuditChain
from caracal_site.api.pagination import plain_query
from caracal_site.api.schema import described
from caracal_site.api.views import ZoneScopedViewSet
from caracal_site.errors import InvalidQuery
from caracal_site.times import to_wire

_text = serializers.CharField
_hash = serializers.CharField(help_text="SHA-256, as lower-case hex.")
_path = serializers.ListField(child=_text(), help_text="Hashes, from the leaf upwards.")
LedgerShape = inline_serializer(
    "Ledger",
    {
        "zone_id": _text(),
        "tree_size": serializers.IntegerField(),
        "content_sha256": _hash,
        "root_hash": _hash,
        "sealed_at": serializers.DateTimeField(allow_null=True),
        "waiting": serializers.IntegerField(help_text="Rows that are not sealed yet."),
        "head": serializers.DictField(
            allow_null=True, help_text="The newest head, signed with Ed25519."
        ),
        "public_key": _text(allow_null=True, help_text="What verifies it, as PEM."),
        "removed_before": serializers.DateTimeField(allow_null=True),
        "verified_at": serializers.DateTimeField(allow_null=True),
        "verification": serializers.DictField(allow_null=True),
    },
)
InclusionShape = inline_serializer(
    "LedgerInclusion",
    {
        "event_id": _text(),
        "chain_seq": _text(),
        "leaf_index": serializers.IntegerField(),
        "tree_size": serializers.IntegerField(),
        "content_sha256": _hash,
        "chain_hmac": _text(allow_null=True),
        "root_hash": _hash,
        "path": _path,
    },
)
ConsistencyShape = inline_serializer(
    "LedgerConsistency",
    {
        "first": serializers.IntegerField(),
        "second": serializers.IntegerField(),
        "first_root_hash": _hash,
        "root_hash": _hash,
        "path": _path,
    },
)


def _size(name: str, text: str) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.INT64, description=text)


class LedgerViewSet(ZoneScopedViewSet):
    """The chain and the Merkle tree (RFC 6962) over the decisions of a zone."""

    model = "audit.auditevent"

    @extend_schema(operation_id="ledger_retrieve")
    @described("Get the ledger's head", answer=LedgerShape, refusals=(404,))
    def retrieve(self, request: Request, zone_id: str) -> Response:
        plain_query(request.GET, frozenset())
        chain = AuditChain.objects.filter(zone_id=zone_id).first()
        return Response(told(zone_id, chain))

    @extend_schema(operation_id="ledger_inclusion")
    @described(
        "Prove that a decision is in the ledger",
        answer=InclusionShape,
        refusals=(400, 404, 409),
        parameters=(
            OpenApiParameter("event_id", required=True, description="The decision."),
            _size("tree_size", "Of which the proof is; all rows unless given."),
        ),
    )
    def inclusion(self, request: Request, zone_id: str) -> Response:
        values = plain_query(request.GET, frozenset({"event_id", "tree_size"}))
        if "event_id" not in values:
            raise InvalidQuery("event_id says which decision.")
        chain = found_chain(zone_id)
        seq, content, mac = link_of(zone_id, values["event_id"])
        size = size_of(values, "tree_size", lowest=seq, highest=chain.seq)
        return proved(
            lambda: {
                "event_id": values["event_id"],
                "chain_seq": str(seq),
                "leaf_index": seq - 1,
                "tree_size": size,
                "content_sha256": content.hex(),
                "chain_hmac": mac.hex() if mac else None,
                "root_hash": proofs.root_at(zone_id, size).hex(),
                "path": hexed(proofs.inclusion(zone_id, seq - 1, size)),
            }
        )

    @extend_schema(operation_id="ledger_consistency")
    @described(
        "Prove that the ledger only grew",
        answer=ConsistencyShape,
        refusals=(400, 404, 409),
        parameters=(
            _size("first", "The smaller size."),
            _size("second", "The larger size; all rows unless given."),
        ),
    )
    def consistency(self, request: Request, zone_id: str) -> Response:
        values = plain_query(request.GET, frozenset({"first", "second"}))
        if "first" not in values:
            raise InvalidQuery("first says from which size on.")
        chain = found_chain(zone_id)
        first = size_of(values, "first", lowest=1, highest=chain.seq)
        second = size_of(values, "second", lowest=first, highest=chain.seq)
        return proved(
            lambda: {
                "first": first,
                "second": second,
                "first_root_hash": proofs.root_at(zone_id, first).hex(),
                "root_hash": proofs.root_at(zone_id, second).hex(),
                "path": hexed(proofs.consistency(zone_id, first, second)),
            }
        )


def told(zone_id: str, chain: AuditChain | None) -> dict[str, Any]:
    """What there is to say about a ledger; an empty one has a head, too."""
    size, head = (chain.seq, chain.head_json) if chain else (0, None)
    return {
        "zone_id": zone_id,
        "tree_size": size,
        "content_sha256": bytes(chain.content).hex() if chain else "",
        "root_hash": proofs.root_at(zone_id, size).hex(),
        "sealed_at": to_wire(chain.sealed_at) if chain else None,
        "waiting": waiting(zone_id),
        "head": head,
        "public_key": heads.public_key_pem(head) if heads.is_signing() else None,
        "removed_before": to_wire(chain.removed_before) if chain else None,
        "verified_at": to_wire(chain.verified_at) if chain else None,
        "verification": chain.verification_json if chain else None,
    }


def waiting(zone_id: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM audit_unsealed WHERE zone_id = %s", [zone_id]
        )
        return int((cursor.fetchone() or (0,))[0])


def found_chain(zone_id: str) -> AuditChain:
    chain = AuditChain.objects.filter(zone_id=zone_id).first()
    if chain is None:
        raise LedgerEmpty
    return chain


def link_of(zone_id: str, event_id: str) -> tuple[int, bytes, bytes | None]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seq, content, mac FROM audit_links"
            " WHERE event_id = %s AND zone_id = %s",
            [event_id, zone_id],
        )
        row = cursor.fetchone()
    if row is None:
        raise EventNotSealed
    return row[0], bytes(row[1]), bytes(row[2]) if row[2] is not None else None


def size_of(values: dict[str, str], name: str, *, lowest: int, highest: int) -> int:
    """A size of the tree. Raises InvalidQuery outside its bounds."""
    text = values.get(name, str(highest))
    is_number = text.isascii() and text.isdigit() and len(text) < 19
    if not (is_number and lowest <= int(text) <= highest):
        raise InvalidQuery(f"{name} must be a whole number from {lowest} to {highest}.")
    return int(text)


def hexed(path: list[bytes]) -> list[str]:
    return [one.hex() for one in path]


def proved(prove: Any) -> Response:
    try:
        return Response(prove())
    except proofs.TreeIncomplete:
        raise LedgerBroken from None
