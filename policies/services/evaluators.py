"""What the processes that decide report of themselves, and who lags behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models.functions import Now

from caracal_site import statements
from policies.models import PolicyEvaluator, PolicyLoad
from policies.querysets import SILENT_SECONDS

PATIENCE_SECONDS = 15
ERROR_LENGTH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a process holds for a zone; ``error`` is why it could not be loaded."""

    zone_id: str
    revision: int
    version_id: str | None
    manifest_sha256: str | None = None
    error: str = ""


@transaction.atomic
def report(evaluator_id: str, loads: Sequence[Load]) -> None:
    """Says that the process lives and what is new in it. Not a change of authority,
    so it leaves no evidence."""
    PolicyEvaluator.objects.bulk_create(
        [PolicyEvaluator(id=evaluator_id, seen_at=Now())],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["seen_at"],
    )
    PolicyLoad.objects.bulk_create(
        [
            PolicyLoad(
                evaluator_id=evaluator_id,
                zone_id=load.zone_id,
                revision=load.revision,
                policy_set_version_id=load.version_id,
                manifest_sha256=load.manifest_sha256,
                loaded_at=Now(),
                error=load.error[:ERROR_LENGTH],
            )
            for load in loads
        ],
        update_conflicts=True,
        unique_fields=["evaluator", "zone_id"],
        update_fields=[
            "revision",
            "policy_set_version_id",
            "manifest_sha256",
            "loaded_at",
            "error",
        ],
    )


def forget_silent() -> int:
    """Forgets the processes that do not report any more; returns how many."""
    silent = PolicyEvaluator.objects.silent()
    gone = silent.values_list("id", flat=True)
    return (
        PolicyEvaluator.objects.filter(id__in=list(gone))
        .delete()[1]
        .get(PolicyEvaluator._meta.label, 0)
    )


def stragglers() -> int:
    """How many zones of how many processes are behind what is in force."""
    (count,) = statements.fetch_one(
        "policies/stragglers",
        {"silent": SILENT_SECONDS, "patience": PATIENCE_SECONDS},
    )
    return int(count)
