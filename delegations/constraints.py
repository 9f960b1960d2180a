"""The typed constraints of an edge: read strictly, normalised once.

Contract: coordinator.md 7. Pure functions on plain values.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from caracal_site.times import from_wire
from delegations.errors import InvalidConstraint

BOUNDS = {
    "max_depth": (1, 10),
    "max_hops": (1, 10),
    "ttl_seconds": (1, 86_400),
    "budget": (1, 1_024),
}
MAX_RESOURCES = 64
MAX_REASON_LENGTH = 256
KNOWN = frozenset(
    {*BOUNDS, "resources", "policy_approved", "expires_at", "broad_reason"}
)
BROAD_REASON = "resource_null_delegation"


def normalised(
    constraints_json: Any, constraints: Any, ttl_seconds: int | None
) -> dict[str, Any]:
    """The edge's constraints: both forms merged (``constraints`` wins), ``max_depth``
    copied to ``max_hops`` and a body TTL copied in when they are not set.

    ``policy_approved`` is checked but dropped: approval is the server's to record
    (D15). Raises InvalidConstraint.
    """
    merged: dict[str, Any] = {}
    for given in (constraints_json, constraints):
        if given is None:
            continue
        if not isinstance(given, Mapping):
            raise InvalidConstraint
        merged.update(given)
    unknown = sorted(merged.keys() - KNOWN)
    if unknown:
        raise InvalidConstraint(f"Unknown constraint {unknown[0]!r}.")
    if "max_depth" in merged and "max_hops" not in merged:
        merged["max_hops"] = merged["max_depth"]
    if ttl_seconds is not None:
        merged.setdefault("ttl_seconds", ttl_seconds)
    _check(merged)
    merged.pop("policy_approved", None)
    return merged


def _check(values: Mapping[str, Any]) -> None:
    if "resources" in values:
        _check_resources(values["resources"])
    if "max_depth" in values:
        _check_bound("max_depth", values["max_depth"])
    for name in ("max_hops", "ttl_seconds", "budget"):
        if name in values:
            _check_bound(name, values[name])
    if "max_depth" in values and values["max_depth"] != values["max_hops"]:
        raise InvalidConstraint.member(
            "max_hops", "max_depth and max_hops mean the same and must agree."
        )
    if not isinstance(values.get("policy_approved", True), bool):
        raise InvalidConstraint.member(
            "policy_approved", "policy_approved must be a boolean."
        )
    if "expires_at" in values:
        moment(
            values["expires_at"],
            InvalidConstraint.member(
                "expires_at", "expires_at must be an ISO 8601 date-time ending in Z."
            ),
        )
    reason = values.get("broad_reason", "x")
    if not isinstance(reason, str) or not 1 <= len(reason) <= MAX_REASON_LENGTH:
        raise InvalidConstraint.member(
            "broad_reason", f"broad_reason must be 1 to {MAX_REASON_LENGTH} characters."
        )


def _check_bound(name: str, value: Any) -> None:
    low, high = BOUNDS[name]
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not low <= value <= high:
        raise InvalidConstraint.member(
            name, f"{name} must be a whole number from {low} to {high}."
        )


def _check_resources(value: Any) -> None:
    fits = isinstance(value, list) and len(value) <= MAX_RESOURCES
    if not fits or not all(isinstance(item, str) and item for item in value):
        raise InvalidConstraint.member(
            "resources",
            f"resources must be at most {MAX_RESOURCES} resource identifiers.",
        )


def moment(value: Any, refusal: InvalidConstraint) -> datetime:
    """The moment a wire date-time names; raises ``refusal`` when it names none."""
    try:
        return from_wire(value)
    except (ValueError, TypeError):
        raise refusal from None
