"""Judging policy versions as the set they will be."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from policies import errors, rules, sandbox, validation
from policies.manifests import documents_of, members_of
from policies.models import PolicyVersion


def agreed(
    version_ids: Sequence[str],
    *,
    zone_id: str,
    schema_version: str,
    invalid: type[errors.InvalidPolicyContract] = errors.InvalidPolicyContract,
) -> dict[str, Any]:
    """What these policy versions say together as a set of the zone.

    Raises ``invalid`` when they cannot be one, or PolicyValidationBusy.
    """
    rows = PolicyVersion.objects.filter(id__in=version_ids).values_list(
        "id", "policy__zone_id", "schema_version"
    )
    found = {row[0]: rules.Member(*row) for row in rows}
    fault = rules.manifest_fault(
        version_ids, found, zone_id=zone_id, schema_version=schema_version
    )
    if fault is not None:
        raise invalid(fault)
    try:
        report = validation.validate_set(documents_of(version_ids))
    except sandbox.Busy:
        raise errors.PolicyValidationBusy from None
    if report.data is None:
        first = report.leading_issue
        raise invalid(f"policy versions failed validation: {first.code}", report.issues)
    return report.data


@lru_cache(maxsize=1_024)
def check_version(
    version_id: str,
    *,
    zone_id: str,
    schema_version: str,
    invalid: type[errors.InvalidPolicyContract] = errors.InvalidPolicyContract,
) -> None:
    """``agreed`` for what a set version consists of: it never changes, so each process
    judges it by its rules once."""
    agreed(
        members_of(version_id),
        zone_id=zone_id,
        schema_version=schema_version,
        invalid=invalid,
    )
