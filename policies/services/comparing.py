"""The same questions to the version in force and to another: what would change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit.models import AuditEvent
from policies import active, inputs, rules
from policies.decision import ActiveSet
from policies.models import PolicyActivation, PolicySetVersion
from policies.services import asking
from policies.services.simulating import checked_version

MAX_INPUTS = 500
MAX_RECORDED = 1_000
NO_INPUT = "no_stored_input"
BAD_INPUT = "invalid_input"


@dataclass(frozen=True, slots=True)
class Question:
    """An input under a name: the caller's, or the id of the recorded decision."""

    name: str
    document: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A question whose answer changes, and how."""

    name: str
    change: str
    document: Mapping[str, Any]
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """``skipped`` names the questions that could not be asked, with the reason."""

    version: PolicySetVersion
    active_version_id: str | None
    compared: int
    flips: tuple[Flip, ...]
    skipped: tuple[tuple[str, str], ...]
    is_complete: bool = True

    def count(self, change: str) -> int:
        return sum(flip.change == change for flip in self.flips)


def compare(
    policy_set_id: str, *, zone_id: str, version_id: str, asked: Sequence[Question]
) -> Comparison:
    """Asks the version in force, or the zone without one, and this version.

    Raises VersionNotFound or InvalidPolicyContract.
    """
    version = checked_version(policy_set_id, version_id, zone_id)
    active_id = (
        PolicyActivation.objects.filter(zone_id=zone_id)
        .values_list("active_version_id", flat=True)
        .first()
    )
    present, candidate = active.in_force(active_id), active.set_of(version_id)
    flips: list[Flip] = []
    skipped: list[tuple[str, str]] = []
    for question in asked:
        if question.document is None:
            skipped.append((question.name, NO_INPUT))
            continue
        try:
            flip = _flip(question.name, question.document, present, candidate)
        except inputs.InvalidInput:
            skipped.append((question.name, BAD_INPUT))
            continue
        if flip is not None:
            flips.append(flip)
    return Comparison(
        version=version,
        active_version_id=active_id,
        compared=len(asked) - len(skipped),
        flips=tuple(flips),
        skipped=tuple(skipped),
        is_complete=len(asked) < MAX_RECORDED,
    )


def recorded(
    zone_id: str, *, since: datetime, until: datetime | None = None
) -> list[Question]:
    """The zone's newest evaluated decisions of the time window, with their inputs."""
    rows = AuditEvent.objects.filter(
        zone_id=zone_id,
        event_type="token_exchange",
        evaluation_status="complete",
        occurred_at__gte=since,
        **({} if until is None else {"occurred_at__lt": until}),
    )
    newest = rows.order_by("-occurred_at", "-id").values_list("id", "metadata_json")
    return list(_questions(newest[:MAX_RECORDED]))


def _questions(rows: Iterable[tuple[str, Any]]) -> Iterable[Question]:
    for event_id, metadata in rows:
        stored = (metadata or {}).get(rules.STORED_INPUT)
        yield Question(event_id, stored if isinstance(stored, Mapping) else None)


def _flip(
    name: str,
    document: Mapping[str, Any],
    present: ActiveSet | None,
    candidate: ActiveSet,
) -> Flip | None:
    before = asking.answer(document, present)
    after = asking.answer(document, candidate)
    change = rules.flip(before, after)
    if change is None:
        return None
    return Flip(name=name, change=change, document=document, before=before, after=after)
