"""The policy sets this process decides by, ready to be asked.

A version never changes, so what was made of it is kept under its id and cannot be
stale. Which version is in force is never remembered: every decision reads it in the
statement that reads its other facts.
"""

from __future__ import annotations

from typing import Any

from policies.decision import ActiveSet
from policies.documents import compiled
from policies.models import PolicySetVersion


class CannotLoad(RuntimeError):
    """A version in force is not there to decide by."""


def ready(*, policy_set_id: str, version_id: str, manifest_sha256: str) -> ActiveSet:
    """The set version of which the caller has read the rest. Raises CannotLoad."""
    return ActiveSet(
        policy_set_id=policy_set_id,
        version_id=version_id,
        manifest_sha256=manifest_sha256,
        compiled=compiled(version_id, lambda: _data_of(version_id)),
    )


def set_of(version_id: str) -> ActiveSet:
    """The set version. Raises CannotLoad."""
    known = PolicySetVersion.objects.filter(id=version_id)
    found = known.values("policy_set_id", "manifest_sha256").first()
    if found is None:
        raise CannotLoad(f"there is no policy set version {version_id}")
    return ready(version_id=version_id, **found)


def in_force(version_id: str | None) -> ActiveSet | None:
    """The set version, or None for a zone without one. Raises CannotLoad."""
    return None if version_id is None else set_of(version_id)


def _data_of(version_id: str) -> dict[str, Any]:
    known = PolicySetVersion.objects.filter(id=version_id)
    data: dict[str, Any] | None = known.values_list("data", flat=True).first()
    if data is None:
        raise CannotLoad(f"there is no policy set version {version_id}")
    return data
