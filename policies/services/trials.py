"""What a version on trial would have decided, from the decisions it was asked about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit.models import AuditEvent
from policies.models import PolicySetVersion
from policies.rules import RECORDED_SHADOW

# Of this many of a zone's newest decisions.
LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class Dissent:
    """A decision that the version would have made otherwise."""

    event_id: str
    occurred_at: datetime
    resource: str
    decided: str
    shadow: str


@dataclass(frozen=True, slots=True)
class Trial:
    """How many of the newest decisions the version was asked about, and where it
    differed, newest first."""

    asked: int
    dissents: tuple[Dissent, ...]


def trial_of(version: PolicySetVersion) -> Trial:
    """The record of the version as its zone's shadow."""
    rows = AuditEvent.objects.filter(
        zone_id=version.zone_id, event_type="token_exchange"
    )
    newest: Any = rows.order_by("-occurred_at", "-id").values_list(
        "id", "occurred_at", "decision", "metadata_json"
    )[:LOOKED_AT]
    asked, dissents = 0, []
    for event_id, occurred_at, decided, metadata in newest:
        told = _opinion(metadata)
        if told.get("policy_set_version_id") != version.id:
            continue
        asked += 1
        if not told["agrees"]:
            resource = str(metadata.get("resource", ""))
            dissents.append(
                Dissent(event_id, occurred_at, resource, decided, told["decision"])
            )
    return Trial(asked, tuple(dissents))


def _opinion(metadata: Any) -> dict[str, Any]:
    told = metadata.get(RECORDED_SHADOW) if isinstance(metadata, dict) else None
    return told if isinstance(told, dict) else {}
